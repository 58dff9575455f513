"""Who is let in, how, and what becomes of it when the token is revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamapp.access.lockout import FREE_TRIES
from streamapp.access.tokens import Scope
from streamapp.gallery.gallery import Gallery, store_of
from streamapp.identification import Identification
from streamapp.server.access_rules import AccessRules
from streamapp.server.entrance import Entrance, Visitors
from tests.gallery.enrolments import FUSION, NOW, enrolment
from tests.server.conftest import StartBench
from tests.server.routes.test_webrtc import problem
from tests.server.visitors import Tokens, bearer
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


# -- what is presented -------------------------------------------------------------------------------------------------


async def test_a_token_comes_by_header_or_by_cookie_and_the_header_counts(
    start_bench: StartBench, tokens: Tokens
) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        for headers in (
            bearer(secret),
            {"Authorization": f"bearer   {secret} "},
            {"Cookie": f"other=1; streamapp={secret}"},
            {**bearer(secret), "Cookie": "streamapp=sapp_wrong"},
        ):
            assert (await bench.http.get("/streams", headers=headers)).status_code == 200, headers
        for headers in (
            {"Authorization": secret},
            {"Authorization": f"Basic {secret}"},
            {"Authorization": "Bearer "},
            {"Cookie": f"__Host-streamapp={secret}"},  # that is the name over TLS
            {"Cookie": f"streamapp={secret}", **bearer("sapp_wrong")},
        ):
            assert (await bench.http.get("/streams", headers=headers)).status_code == 401, headers
        twice = [("Authorization", f"Bearer {secret}"), ("Authorization", "Bearer x")]
        assert (await bench.http.get("/streams", headers=twice)).status_code == 401


async def test_a_token_in_the_address_is_not_looked_at(start_bench: StartBench, tokens: Tokens) -> None:
    """Addresses end up in logs and histories."""
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        assert (await bench.http.get(f"/streams?token={secret}&access_token={secret}")).status_code == 401


async def test_an_expired_token_is_refused_and_named(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW, now=time.time() - 100, lifetime_s=60)
    async with start_bench(keyring=tokens.keyring) as bench:
        response = await bench.http.get("/streams", headers=bearer(secret))
        assert (response.status_code, problem(response)) == (401, "token_invalid")
        assert "phone is over" in response.json()["detail"]


async def test_coming_from_this_machine_is_worth_nothing(start_bench: StartBench, tokens: Tokens) -> None:
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:  # httpx comes from 127.0.0.1
        assert problem(await bench.http.get("/streams")) == "token_missing"
        spoofed = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1"}
        assert (await bench.http.get("/streams", headers=spoofed)).status_code == 401


async def test_browsers_get_the_login_page_and_programs_a_problem(start_bench: StartBench, tokens: Tokens) -> None:
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        page = await bench.http.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
        assert page.status_code == 401
        assert "login.js" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "unsafe" not in page.headers["content-security-policy"]
        stale = await bench.http.get("/", headers={"Accept": "text/html", "Cookie": "streamapp=sapp_old"})
        assert stale.status_code == 401
        assert "streamapp=" in stale.headers["set-cookie"]
        assert "Max-Age=0" in stale.headers["set-cookie"]
        assert problem(await bench.http.get("/streams")) == "token_missing"


# -- guessing ----------------------------------------------------------------------------------------------------------


async def test_whoever_guesses_has_to_wait_also_with_the_right_token(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        for number in range(FREE_TRIES + 1):
            assert (await bench.http.get("/streams", headers=bearer(f"guess{number}"))).status_code == 401
        response = await bench.http.get("/streams", headers=bearer(secret))
        assert (response.status_code, problem(response)) == (429, "locked_out")
        assert int(response.headers["retry-after"]) >= 1
        posted = await bench.http.post("/login", json={"token": secret})
        assert posted.status_code == 429
        assert (await bench.http.get("/login.html")).status_code == 200
        await asyncio.sleep(int(response.headers["retry-after"]))
        assert (await bench.http.get("/streams", headers=bearer(secret))).status_code == 200


async def test_endless_tokens_are_refused_like_others(start_bench: StartBench, tokens: Tokens) -> None:
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        assert (await bench.http.get("/streams", headers=bearer("x" * 60_000))).status_code == 401
        assert (await bench.http.post("/login", json={"token": "x" * 129})).status_code == 422
        assert (await bench.http.post("/login", content=b'{"token": "\\ud800"}')).status_code in (401, 415, 422)


async def test_the_audit_log_says_whose_token_it_was(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.GALLERY, name="registrar")
    async with start_bench(keyring=tokens.keyring) as bench:
        settings = bench.runtime.settings.gallery
        gallery = Gallery(store_of(settings), FUSION, settings)
        bench.runtime.models.identification = Identification(gallery, None)
        person = await gallery.enroll(enrolment("Ada", 1), actor="test", now=NOW)
        path = f"/gallery/people/{person.id}"
        assert (await bench.http.patch(path, json={"name": "Eve"}, headers=bearer(secret))).status_code == 200
        assert (await bench.http.delete(path, headers=bearer(secret))).status_code == 200
        assert [entry.actor for entry in await gallery.store.audit()][-2:] == ["api:registrar"] * 2
        await gallery.close()


# -- what a token began ------------------------------------------------------------------------------------------------


async def test_event_streams_and_motion_jpeg_end_with_the_token(tokens: Tokens, tmp_path: Path) -> None:
    """Over ASGI itself: the test client would wait for the whole response."""
    secret = tokens.make(Scope.VIEW)
    sent: list[MutableMapping[str, Any]] = []
    told_gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        told_gone.set()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    (tmp_path / "login.html").write_text("sign in")
    entrance = Entrance(app, Visitors(tokens.keyring), AccessRules(()), tmp_path)
    headers = [(b"authorization", f"Bearer {secret}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/streams/door/events", "headers": headers, "scheme": "http"}
    async with asyncio.TaskGroup() as group:
        running = group.create_task(entrance(scope, receive, send))
        await until(lambda: len(sent) == 2)
        tokens.file.remove("phone")
        await tokens.keyring.look()
        async with asyncio.timeout(5):
            await running
    assert told_gone.is_set()
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_real_event_streams_end_with_the_token(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench, asyncio.TaskGroup() as group:
        session = bench.add_numbered()
        for path in ("events", "mjpeg"):
            watching = group.create_task(bench.http.get(f"/streams/door/{path}", headers=bearer(secret)))
            await until(lambda: session.sinks)
            assert not watching.done()
            tokens.file.remove("phone")
            await tokens.keyring.look()
            async with asyncio.timeout(5):
                response = await watching
            assert response.status_code == 200
            await until(lambda: not session.sinks)
            secret = tokens.make(Scope.VIEW)


async def test_watched_and_published_video_ends_with_the_token(start_bench: StartBench, tokens: Tokens) -> None:
    secret, other = tokens.make(Scope.VIEW, Scope.OPERATE), tokens.make(Scope.VIEW, name="tablet")
    async with start_bench(keyring=tokens.keyring) as bench:
        bench.add_numbered()
        peers = []
        for path, token in (("/whip", secret), ("/whep/door", secret), ("/whep/door", other)):
            client = httpx.AsyncClient(
                transport=bench.http._transport, base_url=bench.http.base_url, headers=bearer(token), timeout=20
            )
            peer = WebPeer(client, path)
            if path == "/whip":
                peer.send_video(NumberedTrack())
            else:
                peer.take_video()
            peer.open_channel()
            await peer.connect()
            await until(lambda peer=peer: peer.results, 15)  # type: ignore[misc]  # bound at once
            peers.append(peer)
        assert (bench.signalling.publishers, bench.signalling.viewers) == (1, 2)
        tokens.file.remove("phone")
        await tokens.keyring.look()
        await until(lambda: (bench.signalling.publishers, bench.signalling.viewers) == (0, 1))
        for peer in peers:
            await peer.close()


async def test_websockets_are_refused(tokens: Tokens, tmp_path: Path) -> None:
    """The server speaks none; whoever serves the app otherwise must not open a door by that."""
    (tmp_path / "login.html").write_text("sign in")
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def never(*_: Any) -> MutableMapping[str, Any]:
        raise AssertionError("nobody asks")

    entrance = Entrance(never, Visitors(tokens.keyring), AccessRules(()), tmp_path)  # type: ignore[arg-type]
    await entrance({"type": "websocket", "path": "/", "headers": []}, never, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
