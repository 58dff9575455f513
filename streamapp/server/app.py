"""The HTTP server: its parts put together, started, and stopped without leaving anything open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from streamapp import __version__
from streamapp.assets import asset
from streamapp.demo.file_routes import file_router
from streamapp.demo.page import PREFIX as DEMO
from streamapp.demo.page import DemoPage, upload_limits, why_absent
from streamapp.errors import UsageError
from streamapp.runtime import Runtime
from streamapp.sections import ServerSettings
from streamapp.server import problems
from streamapp.server.routes.gallery import gallery_router
from streamapp.server.routes.health import health_router
from streamapp.server.routes.images import images_router
from streamapp.server.routes.page import Page
from streamapp.server.routes.streams import streams_router
from streamapp.server.routes.webrtc import webrtc_router
from streamapp.server.security import BodyLimit, Guard, check_binding
from streamapp.server.signalling import Signalling
from streamapp.server.silence import TELEMETRY_OFF
from streamapp.server.uploads import Uploads
from streamapp.settings import Settings

_log = logging.getLogger(__name__)

MAX_JSON_BYTES = 16_384
MAX_CONNECTIONS = 512
GRACE_S = 2
"""Responses that go on for ever (events, motion JPEG) are cut off after this."""


def create_app(runtime: Runtime, signalling: Signalling, demo: DemoPage | None = None) -> FastAPI:
    """The application. Its parts are run by whoever made them. `demo`: the page at /demo, if there is to be one."""
    app = _bare_app()
    app.include_router(webrtc_router(signalling, runtime.settings.webrtc))
    app.include_router(streams_router(runtime))
    uploads = Uploads(runtime.settings.server)
    app.include_router(images_router(runtime.models, uploads))
    app.include_router(gallery_router(runtime, uploads))
    app.include_router(health_router(runtime, signalling))
    _finish_app(app, runtime.settings, demo)
    return app


def create_demo_app(runtime: Runtime, signalling: Signalling, demo: DemoPage) -> FastAPI:
    """The demo page by itself: what it needs, and nothing else of the API."""
    app = _bare_app()
    app.add_api_route("/", lambda: RedirectResponse(f"{DEMO}/"), include_in_schema=False)
    app.include_router(webrtc_router(signalling, runtime.settings.webrtc))
    _finish_app(app, runtime.settings, demo)
    return app


def _bare_app() -> FastAPI:
    app = FastAPI(
        title="streamapp",
        version=__version__,
        docs_url=None,  # its page is loaded from other people's servers
        redoc_url=None,
        telemetry=TELEMETRY_OFF,
    )
    problems.install(app)
    return app


def _finish_app(app: FastAPI, settings: Settings, demo: DemoPage | None) -> None:
    """Adds the demo page, the files of pages and what stands before every route."""
    body_limits = dict.fromkeys(("/streams", "/gallery"), min(MAX_JSON_BYTES, settings.server.max_body_bytes))
    if demo is not None:
        if why_absent(settings) is None:
            limits = upload_limits(settings)
            body_limits |= {f"{DEMO}/files/{kind}": size for kind, size in limits.items()}
            app.include_router(file_router(demo.shelf, limits))
        app.add_api_route(DEMO, lambda: RedirectResponse(f"{DEMO}/"), include_in_schema=False)
        app.router.routes.append(Route(f"{DEMO}/{{rest:path}}", endpoint=demo))
    app.router.default = Page(asset("web"))  # not mounted: then wrong methods on the API's paths would be its to answer
    if settings.server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Content-Type", "If-Match"],
            expose_headers=["Location", "ETag", "Link", "Retry-After"],
        )
    app.add_middleware(
        BodyLimit, max_bytes=settings.server.max_body_bytes, by_prefix=body_limits, forms_at=("/gallery",)
    )
    app.add_middleware(Guard, settings=settings.server)


async def serve(settings: Settings, *, ready: Callable[[str], None], demo_only: bool = False) -> None:
    """Serves until SIGTERM or SIGINT; then ends every connection and finalises every file. `ready` gets the address
    once requests are answered. Raises SettingsError for an address that is not allowed, UsageError for a taken one, or
    if there is to be nothing but a demo page and it cannot be."""
    check_binding(settings.server)
    if demo_only and (absent := why_absent(settings)) is not None:
        raise UsageError(absent)
    with contextlib.closing(_listen(settings.server)) as listener:
        async with (
            Runtime.start(settings) as runtime,
            Signalling.start(runtime) as signalling,
            DemoPage.start(runtime) as demo,
        ):
            create = create_demo_app if demo_only else create_app
            config = uvicorn.Config(
                create(runtime, signalling, demo),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_S,
            )
            server = _Server(config, on_ready=lambda: ready(_address(listener)), on_stop=signalling.close)
            await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn in a loop that is not its own: it says when it is up, and leaves what follows a signal to us."""

    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own sends the signal again when it is done, which would end the process before its streams."""
        loop = asyncio.get_running_loop()
        caught = []
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
                loop.add_signal_handler(number, self._stop, number)
                caught.append(number)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        _log.info("stopping on %s", signal.Signals(number).name)
        self.force_exit = self.should_exit  # the second time
        self.should_exit = True
        self._on_stop()


def _listen(settings: ServerSettings) -> socket.socket:
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "stop what uses it or choose another with --port"
        ) from error
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
