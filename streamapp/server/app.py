"""The HTTP server: its parts put together, started, and stopped without leaving anything open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from streamapp import __version__
from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.assets import asset
from streamapp.demo.file_routes import file_router
from streamapp.demo.page import PREFIX as DEMO
from streamapp.demo.page import DemoPage, upload_limits, why_absent
from streamapp.enrolment.live_tracks import SessionTracks
from streamapp.errors import UsageError
from streamapp.models import Models
from streamapp.runtime import Runtime
from streamapp.sections import ServerSettings
from streamapp.server import problems
from streamapp.server.access_rules import AccessRules
from streamapp.server.added_streams import AddedStreams
from streamapp.server.addresses import certificate_of, check_binding
from streamapp.server.census import LocalCensus
from streamapp.server.connections import ImpatientProtocol
from streamapp.server.description import Api
from streamapp.server.entrance import Entrance, Visitors
from streamapp.server.routes.events import events_router
from streamapp.server.routes.gallery import gallery_router
from streamapp.server.routes.health import health_router
from streamapp.server.routes.images import images_router
from streamapp.server.routes.login import login_router
from streamapp.server.routes.page import Page
from streamapp.server.routes.recordings import recordings_router
from streamapp.server.routes.settings import settings_router
from streamapp.server.routes.streams import streams_router
from streamapp.server.routes.webrtc import webrtc_router
from streamapp.server.security import BodyLimit, Guard
from streamapp.server.signalling import Signalling
from streamapp.server.silence import TELEMETRY_OFF
from streamapp.server.stream_file import StreamFile
from streamapp.server.uploads import Uploads
from streamapp.settings import Settings
from streamapp.workers.crew import Crew
from streamapp.workers.launcher import Launcher, local_launcher
from streamapp.workers.relay import Relay

_log = logging.getLogger(__name__)

MAX_JSON_BYTES = 16_384
MAX_CONNECTIONS = 512
GRACE_S = 2
"""Responses that go on for ever (events, motion JPEG) are cut off after this."""


def create_app(
    runtime: Runtime,
    signalling: Signalling,
    keyring: Keyring,
    demo: DemoPage | None = None,
    streams: AddedStreams | None = None,
    crew: Crew | None = None,
) -> FastAPI:
    """The application. Its parts are run by whoever made them. demo: the page at /demo, if there is to be one; streams:
    those that are kept; else what is added ends with the process; crew: the workers that have all
    streams, where it is not this process."""
    settings = runtime.settings
    app = _bare_app(runtime, signalling)
    app.include_router(streams_router(runtime, streams or AddedStreams(runtime)))
    app.include_router(recordings_router(runtime))
    if runtime.events is not None:
        app.include_router(events_router(runtime.events))
    uploads = Uploads(settings.server)
    app.include_router(images_router(runtime.models, uploads))
    app.include_router(gallery_router(runtime, uploads, crew or SessionTracks(runtime.stream)))
    app.include_router(health_router(runtime, crew or LocalCensus(runtime, signalling)))
    app.include_router(settings_router(runtime))
    if crew is not None:
        app.add_middleware(Relay, crew=crew)
    _finish_app(app, settings, keyring, demo)
    return app


def create_worker_app(runtime: Runtime, signalling: Signalling, streams: AddedStreams) -> FastAPI:
    """What a worker answers: for the server, which has let the request in."""
    app = _bare_app(runtime, signalling)
    app.include_router(streams_router(runtime, streams))
    app.include_router(images_router(runtime.models, Uploads(runtime.settings.server)))
    return app


def create_demo_app(runtime: Runtime, signalling: Signalling, keyring: Keyring, demo: DemoPage) -> FastAPI:
    """The demo page by itself: what it needs, and nothing else of the API."""
    app = _bare_app(runtime, signalling)
    app.add_api_route("/", lambda: RedirectResponse(f"{DEMO}/"), include_in_schema=False)
    _finish_app(app, runtime.settings, keyring, demo)
    return app


def _bare_app(runtime: Runtime, signalling: Signalling) -> FastAPI:
    app = Api(
        title="streamapp",
        version=__version__,
        docs_url=None,  # its page is loaded from other people's servers
        redoc_url=None,
        telemetry=TELEMETRY_OFF,
    )
    problems.install(app)
    app.include_router(webrtc_router(signalling, runtime.settings.webrtc))
    return app


def _finish_app(app: FastAPI, settings: Settings, keyring: Keyring, demo: DemoPage | None) -> None:
    """Adds the demo page, the files of pages and what stands before every route."""
    pages, visitors = asset("web"), Visitors(keyring)
    small = ("/streams", "/gallery", "/login", "/settings", "/recordings")
    body_limits = dict.fromkeys(small, min(MAX_JSON_BYTES, settings.server.max_body_bytes))
    if demo is not None:
        if why_absent(settings) is None:
            limits = upload_limits(settings)
            body_limits |= {f"{DEMO}/files/{kind}": size for kind, size in limits.items()}
            app.include_router(file_router(demo.shelf, limits))
        app.add_api_route(DEMO, lambda: RedirectResponse(f"{DEMO}/"), include_in_schema=False)
        app.router.routes.append(Route(f"{DEMO}/{{rest:path}}", endpoint=demo))
    app.include_router(login_router(visitors))
    app.router.default = Page(pages)  # not mounted: then wrong methods on the API's paths would be its to answer
    app.add_middleware(Entrance, visitors=visitors, rules=AccessRules.with_pages(pages), pages=pages)
    if settings.server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Last-Event-ID"],
            expose_headers=["Location", "ETag", "Link", "Retry-After"],
        )
    app.add_middleware(
        BodyLimit, max_bytes=settings.server.max_body_bytes, by_prefix=body_limits, forms_at=("/gallery",)
    )
    app.add_middleware(Guard, settings=settings.server)


async def serve(settings: Settings, *, ready: Callable[[str], None], demo_only: bool = False) -> None:
    """Serves until SIGTERM or SIGINT; then ends every connection and finalises every file. `ready` gets the address
    once requests are answered. Raises SettingsError for an address that is not allowed or a certificate that cannot be
    used, TokensUnusable, UsageError for a taken address, or if there is to be nothing but a demo page and it cannot be.
    """
    if demo_only and (absent := why_absent(settings)) is not None:
        raise UsageError(absent)
    keyring = Keyring(TokenFile(settings.server.token_file))
    keyring.load()
    check_binding(settings.server, keyring)
    certificate = certificate_of(settings.server)
    with contextlib.closing(_listen(settings.server)) as listener:
        async with (
            _joined(settings) as (settings, models, workers),
            Runtime.start(settings, with_events=not demo_only, at_work=models) as runtime,
            runtime.recordings.kept(),
            Signalling.start(runtime) as signalling,
            DemoPage.start(runtime) as demo,
            _following(keyring),
            contextlib.AsyncExitStack() as stack,
        ):
            crew = None
            if demo_only:
                app = create_demo_app(runtime, signalling, keyring, demo)
            else:
                kept = StreamFile(settings.server.streams_file) if settings.server.keep_streams else None
                streams = AddedStreams(runtime, kept)
                if settings.server.workers:
                    own = LocalCensus(runtime, signalling)
                    launcher = await stack.enter_async_context(
                        workers or local_launcher(settings, runtime.models.host.path)
                    )
                    crew = await stack.enter_async_context(Crew.start(runtime, own, kept, launcher))
                else:
                    await streams.restore()
                app = create_app(runtime, signalling, keyring, demo, streams, crew)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                http=ImpatientProtocol,
                ws="none",
                server_header=False,
                proxy_headers=bool(settings.server.trusted_proxies),
                forwarded_allow_ips=[str(network) for network in settings.server.trusted_proxies],
                ssl_certfile=certificate.certificate if certificate else None,
                ssl_keyfile=certificate.key if certificate else None,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_S,
            )
            address = _address(listener, "https" if certificate else "http")
            server = SignalledServer(config, on_ready=lambda: ready(address), on_stop=signalling.close)
            if crew is not None:
                server.on_hangup = lambda: runtime.begin(crew.renew(), "workers:renew")
            await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def _joined(
    settings: Settings,
) -> AsyncIterator[
    tuple[Settings, AbstractAsyncContextManager[Models] | None, AbstractAsyncContextManager[Launcher] | None]
]:
    """Part of a cluster for the length of the block, if the settings name one: the settings with as many workers as are
    needed, who runs the models, and who makes workers. Raises RuntimeMissing, DeviceLost."""
    if settings.cluster.address is None:
        yield settings, None, None
        return
    from streamapp.cluster.membership import joined  # Ray is optional, and takes a second to load

    async with joined(settings) as member:
        settings = settings.with_options("server", {"workers": settings.server.workers or member.machines})
        yield settings, Models.start(settings, member.models(settings)), member.launcher(settings)


@contextlib.asynccontextmanager
async def _following(keyring: Keyring) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        following = group.create_task(keyring.follow())
        try:
            yield
        finally:
            following.cancel()


class SignalledServer(uvicorn.Server):
    """uvicorn in a loop that is not its own: it says when it is up, and leaves what follows a signal to us."""

    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop
        self.on_hangup: Callable[[], object] | None = None
        """What SIGHUP is for; else it ends the process."""

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
        if self.on_hangup is not None:
            loop.add_signal_handler(signal.SIGHUP, self.on_hangup)
            caught.append(signal.SIGHUP)
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


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
