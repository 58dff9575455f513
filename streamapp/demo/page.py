"""The demo page as a part of the server: loaded when first asked for, because Gradio takes seconds and 130 MB."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from streamapp.demo import library
from streamapp.demo.doorman import Doorman
from streamapp.demo.shelf import Kind, Shelf
from streamapp.errors import NotFound
from streamapp.runtime import Runtime
from streamapp.server.addresses import is_loopback
from streamapp.server.problems import problem_of
from streamapp.settings import Settings

_log = logging.getLogger(__name__)
PREFIX = "/demo"
SHELF_CLIPS = 6
"""Room on the shelf, in clips of the largest size."""


def why_absent(settings: Settings) -> str | None:
    """Why there is no demo page, and what to do about it; None if there is one."""
    if not settings.demo.enabled:
        return "the demo page is switched off; set demo.enabled = true"
    if not is_loopback(settings.server.host):
        return "the demo page is there only where the server listens on a loopback address"
    if not library.is_installed():
        return f"the demo page needs Gradio: {library.INSTALL}"
    return None


class DemoPage:
    """An ASGI app for every path under /demo that is not an upload or a download."""

    def __init__(self, runtime: Runtime, shelf: Shelf) -> None:
        self.shelf = shelf
        self._runtime = runtime
        self._wanted = asyncio.Event()
        self._app: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()

    @classmethod
    @asynccontextmanager
    async def start(cls, runtime: Runtime) -> AsyncIterator[DemoPage]:
        """The page, for the length of the block."""
        limits = runtime.settings.demo
        room = Shelf.open(max_bytes=SHELF_CLIPS * limits.max_clip_bytes, kept_s=limits.kept_s)
        async with room as shelf, asyncio.TaskGroup() as group:
            page = cls(runtime, shelf)
            running = group.create_task(page._run(), name="demo")
            try:
                yield page
            finally:
                running.cancel()

    @property
    def is_loaded(self) -> bool:
        return self._app.done()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        absent = why_absent(self._runtime.settings)
        if absent is not None:
            await problem_of(NotFound(absent))(scope, receive, send)
            return
        self._wanted.set()
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)

    async def _run(self) -> None:
        await self._wanted.wait()
        try:
            library.quieten(self.shelf.folder)
            gradio_app = await asyncio.to_thread(importlib.import_module, "streamapp.demo.gradio_app")
            app, running = gradio_app.mount(self._runtime, self.shelf, PREFIX)
        except Exception as error:  # noqa: BLE001 - supervisor: without its demo page the server goes on
            _log.exception("the demo page could not be loaded")
            self._app.set_exception(error)
            return
        async with running:
            gc.freeze()  # a million objects for life: no collection needs to look at them, which would hold up streams
            self._app.set_result(Doorman(app, PREFIX))
            await asyncio.Event().wait()


def upload_limits(settings: Settings) -> dict[Kind, int]:
    """Bytes of the largest upload of each kind."""
    return {Kind.PICTURE: settings.server.max_body_bytes, Kind.CLIP: settings.demo.max_clip_bytes}
