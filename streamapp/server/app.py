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

from streamapp import __version__
from streamapp.assets import asset
from streamapp.errors import UsageError
from streamapp.runtime import Runtime
from streamapp.sections import ServerSettings
from streamapp.server import problems
from streamapp.server.routes.events import events_router
from streamapp.server.routes.gallery import gallery_router
from streamapp.server.routes.health import health_router
from streamapp.server.routes.images import images_router
from streamapp.server.routes.page import Page
from streamapp.server.routes.streams import streams_router
from streamapp.server.routes.webrtc import webrtc_router
from streamapp.server.security import BodyLimit, Guard, check_binding
from streamapp.server.signalling import Signalling
from streamapp.server.uploads import Uploads
from streamapp.settings import Settings

_log = logging.getLogger(__name__)

MAX_JSON_BYTES = 16_384
MAX_CONNECTIONS = 512
GRACE_S = 2
"""Responses that go on for ever (events, motion JPEG) are cut off after this."""


def create_app(runtime: Runtime, signalling: Signalling) -> FastAPI:
    """The application. Its parts are run by whoever made them."""
    settings = runtime.settings
    app = FastAPI(
        title="streamapp",
        version=__version__,
        docs_url=None,  # its page is loaded from other people's servers
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    problems.install(app)
    app.include_router(webrtc_router(signalling, settings.webrtc))
    app.include_router(streams_router(runtime))
    if runtime.events is not None:
        app.include_router(events_router(runtime.events))
    uploads = Uploads(settings.server)
    app.include_router(images_router(runtime.models, uploads))
    app.include_router(gallery_router(runtime, uploads))
    app.include_router(health_router(runtime, signalling))
    app.router.default = Page(asset("web"))  # not mounted: then wrong methods on the API's paths would be its to answer
    if settings.server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Content-Type", "If-Match", "Last-Event-ID"],
            expose_headers=["Location", "ETag", "Link", "Retry-After"],
        )
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.server.max_body_bytes,
        by_prefix={"/streams": MAX_JSON_BYTES, "/gallery": MAX_JSON_BYTES},
        forms_at=("/gallery",),
    )
    app.add_middleware(Guard, settings=settings.server)
    return app


async def serve(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; then ends every connection and finalises every file. `ready` gets the address
    once requests are answered. Raises SettingsError for an address that is not allowed, UsageError for a taken one."""
    check_binding(settings.server)
    with contextlib.closing(_listen(settings.server)) as listener:
        async with Runtime.start(settings, with_events=True) as runtime, Signalling.start(runtime) as signalling:
            config = uvicorn.Config(
                create_app(runtime, signalling),
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
