"""The server with its demo page, without a port. Gradio is loaded only where a test asks for the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.demo.page import DemoPage
from streamapp.runtime import Runtime
from streamapp.sections import DemoSettings, ServerSettings
from streamapp.server.app import create_app, create_demo_app
from streamapp.server.signalling import Signalling
from streamapp.settings import Settings
from tests.fakes import ScriptedScreener

FACE = (100.0, 60.0, 200.0, 180.0)


@dataclass
class Bench:
    runtime: Runtime
    demo: DemoPage
    http: httpx.AsyncClient


StartBench = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def start_bench(monkeypatch: pytest.MonkeyPatch) -> StartBench:
    """Starts it with given settings; `alone`: as `streamapp demo` does."""
    monkeypatch.chdir("/")  # no streamapp.toml of whoever runs the tests

    @asynccontextmanager
    async def start(
        *, demo: DemoSettings | None = None, server: ServerSettings | None = None, alone: bool = False
    ) -> AsyncIterator[Bench]:
        settings = Settings(demo=demo or DemoSettings(), server=server or ServerSettings())
        async with (
            Runtime.start(settings, lambda: ScriptedScreener([[FACE]])) as runtime,
            Signalling.start(runtime) as signalling,
            DemoPage.start(runtime) as page,
        ):
            keyring = Keyring(TokenFile(Path("/nowhere")))
            app = (create_demo_app if alone else create_app)(runtime, signalling, keyring, page)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", timeout=60) as http:
                yield Bench(runtime, page, http)

    return start
