"""The server as it is started: on a port, with peers in other processes, ended by a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from streamapp.access.certificate import self_signed
from streamapp.access.tokens import Scope
from streamapp.choices import Https
from streamapp.errors import SettingsError, UsageError
from streamapp.sections import ServerSettings, WebRtcSettings
from streamapp.server.app import serve
from streamapp.settings import Settings
from tests.fakes import NumberedSource, ScriptedScreener
from tests.server.visitors import Tokens, bearer
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer, use_loopback

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Running:
    url: str
    http: httpx.AsyncClient
    task: asyncio.Task[None]

    async def count(self, name: str) -> float:
        """The value of one figure of /metrics."""
        text = (await self.http.get("/metrics")).text
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


StartServer = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start_server(monkeypatch: pytest.MonkeyPatch) -> StartServer:
    """Starts the whole server, with a screener and a demo clip from a script."""
    use_loopback(monkeypatch)
    monkeypatch.chdir("/")
    monkeypatch.setattr("streamapp.runtime.open_screener", lambda settings: ScriptedScreener([[(9, 9, 50, 50)]]))
    monkeypatch.setattr(
        "streamapp.server.added_streams.source_at",
        lambda address, numbering, settings, loop: NumberedSource(numbering),
    )

    @asynccontextmanager
    async def start(
        webrtc: WebRtcSettings | None = None, server: ServerSettings | None = None
    ) -> AsyncIterator[Running]:
        server = (server or ServerSettings(port=0)).model_copy(update={"keep_streams": False})
        settings = Settings(server=server, webrtc=webrtc or WebRtcSettings())
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(serve(settings, ready=address.set_result))
            url = await address
            trusted = server.certificate_dir / "server.crt"
            verify = ssl.create_default_context(cafile=trusted) if url.startswith("https:") else True
            async with httpx.AsyncClient(base_url=url, timeout=10, verify=verify) as http:
                yield Running(url, http, task)
            task.cancel()

    return start


async def test_it_answers_where_it_says(start_server: StartServer) -> None:
    async with start_server() as server:
        assert server.url.startswith("http://127.0.0.1:")
        response = await server.http.get("/health")
        assert response.json()["status"] == "alive"
        assert "server" not in response.headers


async def test_a_peer_whose_process_was_killed_is_freed(start_server: StartServer) -> None:
    """A publisher and a viewer, each in a process of its own, ended by SIGKILL."""
    async with start_server(WebRtcSettings(idle_timeout_s=3)) as server:
        await server.http.post("/streams", json={"name": "door", "source": "demo"})
        processes = []
        for path in ("/whip", "/whep/door"):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.server.vanishing_peer", server.url, path),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 30) == b"connected\n"
            processes.append(process)
        assert (await server.count("streamapp_publishers"), await server.count("streamapp_viewers")) == (1, 1)
        for process in processes:
            process.kill()
            await process.wait()
        killed_s = time.monotonic()
        while await server.count("streamapp_publishers") or await server.count("streamapp_viewers"):
            assert time.monotonic() - killed_s < 15, "the limit for a vanished peer"
        names = [stream["name"] for stream in (await server.http.get("/streams")).json()]
        assert names == ["door"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_with_everything_connected(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    caplog.set_level(logging.INFO)
    async with start_server() as server:
        await server.http.post("/streams", json={"name": "door", "source": "demo"})
        publisher, viewer = WebPeer(server.http, "/whip"), WebPeer(server.http, "/whep/door")
        publisher.send_video(NumberedTrack())
        viewer.take_video()
        for peer in (publisher, viewer):
            peer.open_channel()
            await peer.connect()
            await until(lambda peer=peer: peer.results, 15)  # type: ignore[misc]  # bound at once
        async with server.http.stream("GET", "/streams/door/events") as events:
            await anext(events.aiter_lines())
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await asyncio.wait((server.task,))
        assert server.task.exception() is None
        for peer in (publisher, viewer):
            await until(lambda peer=peer: peer.pc.connectionState == "closed", 5)  # type: ignore[misc]
            await peer.close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert "stream door: closed" in caplog.text


async def test_a_port_that_is_taken_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(server=ServerSettings(port=other.getsockname()[1]))
        with pytest.raises(UsageError, match="in use"):
            await serve(settings, ready=lambda _: None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.net"])
async def test_other_machines_are_let_in_only_on_purpose(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(SettingsError, match="streamapp token create"):
        await serve(Settings(server=ServerSettings(host=host)), ready=lambda _: None)


async def test_no_page_is_loaded_from_elsewhere(start_server: StartServer) -> None:
    """FastAPI's own documentation pages are."""
    async with start_server() as server:
        for path in ("/docs", "/redoc"):
            assert (await server.http.get(path)).status_code == 404
        assert "/whip" in (await server.http.get("/openapi.json")).json()["paths"]


async def test_an_endless_request_is_cut_off(start_server: StartServer) -> None:
    """Chunked, so that its length is not told beforehand."""
    async with start_server() as server:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 65_536
                yield bytes(65_536)

        headers = {"Content-Type": "application/sdp"}
        try:
            response = await server.http.post("/whip", content=endless(), headers=headers)
            assert response.status_code == 413
        except (httpx.WriteError, httpx.ReadError):  # it hung up while we were still sending
            pass
        assert sent < 20_000_000


# -- over TLS, and with tokens -----------------------------------------------------------------------------------------


async def test_it_answers_over_tls_with_a_certificate_of_its_own(start_server: StartServer, tmp_path: Path) -> None:
    server = ServerSettings(port=0, https=Https.AUTO, certificate_dir=tmp_path)
    async with start_server(server=server) as running:
        assert running.url.startswith("https://127.0.0.1:")
        origin = {"Origin": running.url}
        added = await running.http.post("/streams", json={"name": "door", "source": "demo"}, headers=origin)
        assert added.status_code == 201
        plain = running.url.replace("https", "http")
        wrong_origin = await running.http.post("/streams", json={}, headers={"Origin": plain})
        assert wrong_origin.status_code == 403
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.HTTPError):
                await http.get(plain)


async def test_a_certificate_that_does_not_fit_its_key_is_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir("/")
    one, other = (self_signed(tmp_path / name, ("localhost",), datetime.now(UTC)) for name in "ab")
    settings = Settings(server=ServerSettings(port=0, tls_cert=one.certificate, tls_key=other.key))
    with pytest.raises(SettingsError, match="cannot be used"):
        await serve(settings, ready=lambda _: None)


async def test_a_token_made_while_it_runs_closes_it_and_one_revoked_ends(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = ServerSettings(port=0, token_file=tmp_path / "tokens.json")
    async with start_server(server=server) as running:
        assert (await running.http.get("/streams")).status_code == 200
        secret = Tokens(tmp_path).make(Scope.VIEW, Scope.OPERATE)

        async def is_closed() -> bool:
            return (await running.http.get("/streams")).status_code == 401

        await _soon(is_closed)
        headers = bearer(secret)
        added = await running.http.post("/streams", json={"name": "door", "source": "demo"}, headers=headers)
        assert added.status_code == 201
        async with running.http.stream("GET", "/streams/door/events", headers=headers) as events:
            lines = events.aiter_lines()
            await anext(lines)
            Tokens(tmp_path).file.remove("phone")
            async with asyncio.timeout(5):
                async for _ in lines:
                    pass
        assert (await running.http.get("/streams", headers=headers)).status_code == 401


@pytest.mark.parametrize(("trusted", "cookie"), [((), "streamapp="), (("127.0.0.0/8",), "__Host-streamapp=")])
async def test_a_proxy_is_believed_only_if_the_settings_name_it(
    start_server: StartServer, tmp_path: Path, trusted: tuple[str, ...], cookie: str
) -> None:
    """Over TLS the cookie has another name: that tells what scheme the server believes in."""
    tokens = Tokens(tmp_path)
    secret = tokens.make(Scope.VIEW)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    server = ServerSettings.model_validate({"port": 0, "token_file": tokens.file.path, "trusted_proxies": trusted})
    async with start_server(server=server) as running:
        login = await running.http.post("/login", json={"token": secret}, headers=forwarded)
        assert login.headers["set-cookie"].startswith(cookie)


async def _soon(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - it is the server's to say
            await asyncio.sleep(0.05)
