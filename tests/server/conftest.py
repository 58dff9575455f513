"""The server's parts put together for a test, without a port: HTTP goes straight to the app, WebRTC over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.event_settings import EventSettings
from streamapp.gallery_settings import PrivacySettings
from streamapp.pipeline.session import StreamSession
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings, RecordingSettings, ServerSettings, WebRtcSettings
from streamapp.server.app import create_app
from streamapp.server.signalling import Signalling
from streamapp.settings import Settings
from tests.fakes import Box, CollectingSink, NumberedSource, ScriptedScreener
from tests.server.described_problems import DescribedProblems
from tests.webrtc_peers import WebPeer, use_loopback

FACE = (100.0, 60.0, 200.0, 180.0)
ORIGIN = "http://127.0.0.1:8000"


@dataclass
class Bench:
    """A server at work, and a way to talk to it."""

    runtime: Runtime
    signalling: Signalling
    http: httpx.AsyncClient

    def add_numbered(self, name: str = "door", *, codec: str | None = None, gop: int = 30) -> StreamSession:
        """A stream of numbered pictures."""
        return self.runtime.open_stream(name, lambda numbering: NumberedSource(numbering, codec=codec, gop=gop))

    def collect(self, session: StreamSession) -> CollectingSink:
        """Everything that comes of a stream from now on."""
        sink = CollectingSink()
        session.attach(sink)
        return sink

    def publisher(self, query: str = "") -> WebPeer:
        return WebPeer(self.http, f"/whip{query}")

    def viewer(self, stream: str = "door") -> WebPeer:
        return WebPeer(self.http, f"/whep/{stream}")


StartBench = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def start_bench(monkeypatch: pytest.MonkeyPatch) -> StartBench:
    """Starts a bench with given settings. Fixtures cannot: what runs in a TaskGroup ends in the task it began in."""
    use_loopback(monkeypatch)
    monkeypatch.chdir("/")  # no streamapp.toml of whoever runs the tests

    @asynccontextmanager
    async def start(
        *,
        webrtc: WebRtcSettings | None = None,
        server: ServerSettings | None = None,
        models: ModelSettings | None = None,
        events: EventSettings | None = None,
        face: Box = FACE,
        keyring: Keyring | None = None,
        recordings: Path | None = None,
        recording: RecordingSettings | None = None,
        privacy: PrivacySettings | None = None,
    ) -> AsyncIterator[Bench]:
        settings = Settings(
            webrtc=webrtc or WebRtcSettings(),
            server=server or ServerSettings(),
            models=models or ModelSettings(),
            events=events or EventSettings(enabled=False),
            recording=recording or RecordingSettings(dir=recordings or Path("/nowhere"), min_free_bytes=0),
            privacy=privacy or PrivacySettings(),
        )
        async with (
            Runtime.start(settings, lambda: ScriptedScreener([[face]]), with_events=True) as runtime,
            runtime.recordings.kept(),
            Signalling.start(runtime) as signalling,
        ):
            app = create_app(runtime, signalling, keyring or Keyring(TokenFile(Path("/nowhere"))))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            hooks: dict[str, list[Callable[..., object]]] = {"response": [DescribedProblems(app)]}
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=20, event_hooks=hooks) as http:
                yield Bench(runtime, signalling, http)

    return start
