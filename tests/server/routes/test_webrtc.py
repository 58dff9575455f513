"""The HTTP side of WHIP (RFC 9725) and WHEP: what each request gets, good or bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from aiortc import RTCSessionDescription
from pydantic import SecretStr

from streamapp.sections import IceServer, WebRtcSettings
from streamapp.server.routes.webrtc import FRAGMENT, SDP, ice_links
from tests.server.conftest import Bench, StartBench
from tests.server.test_sdp import DATA, VIDEO, replaced, text
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer

TURN = IceServer(
    urls=("turn:turn.example.net?transport=udp", "turns:turn.example.net?transport=tcp"),
    username='us"er',
    credential=SecretStr("pass\\word"),
)


async def offered(bench: Bench) -> tuple[WebPeer, httpx.Response]:
    peer = bench.publisher()
    peer.send_video(NumberedTrack())
    response = await peer.post(await peer.offer())
    assert response.status_code == 201, response.text
    return peer, response


def problem(response: httpx.Response) -> str:
    """The code of a problem document, which every error is."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    assert body["detail"]
    return str(body["code"])


# -- POST --------------------------------------------------------------------------------------------------------------


async def test_an_offer_is_answered_with_a_resource(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, response = await offered(bench)
        assert response.headers["content-type"].startswith(SDP)
        assert response.headers["location"].startswith("/whip/")
        assert response.headers["etag"].startswith('"')
        assert "link" not in response.headers
        assert "a=candidate:" in response.text
        assert "a=end-of-candidates" in response.text, "all candidates are in the answer"
        await peer.close()


async def test_a_camera_gets_the_name_back_that_it_had_unless_it_is_taken(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peers = [WebPeer(bench.http, "/whip?name=webrtc-0123abcd") for _ in range(2)]
        for peer in peers:
            peer.send_video(NumberedTrack())
        assert (await peers[0].post(await peers[0].offer())).status_code == 201
        assert [stream["name"] for stream in (await bench.http.get("/streams")).json()] == ["webrtc-0123abcd"]
        second = await peers[1].post(await peers[1].offer())
        assert (second.status_code, problem(second)) == (409, "conflict")
        for name in ("door", "webrtc-0123ABCD", "webrtc-0123abcd0", ""):
            refused = await bench.http.post(f"/whip?name={name}", content=text(VIDEO), headers={"Content-Type": SDP})
            assert refused.status_code == 422, name
        for peer in peers:
            await peer.close()


async def test_ice_servers_are_named_in_links(start_bench: StartBench) -> None:
    stun = IceServer(urls=("stun:127.0.0.1:9",), username=None, credential=None)
    async with start_bench(webrtc=WebRtcSettings(ice_servers=(stun,))) as bench:
        options = await bench.http.options("/whip")
        assert options.headers["link"] == '<stun:127.0.0.1:9>; rel="ice-server"'


def test_turn_credentials_are_quoted() -> None:
    assert ice_links(TURN) == [
        f'<{url}>; rel="ice-server"; username="us\\"er"; credential="pass\\\\word"; credential-type="password"'
        for url in TURN.urls
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "offer_invalid"),
        (b"garbage", 400, "offer_invalid"),
        (b'{"sdp": "v=0", "type": "offer"}', 400, "offer_invalid"),
        (text(replaced(VIDEO, "a=ice-pwd", None)), 400, "offer_invalid"),
        (text(replaced(VIDEO, "a=setup", "a=setup:nonsense")), 400, "offer_invalid"),
        (text(replaced(VIDEO, "a=rtcp-mux", None)), 400, "offer_invalid"),
        (text(replaced(VIDEO, "a=fmtp:97", "a=fmtp:97 apt=x")), 400, "offer_invalid"),
        (text([*VIDEO, "a=fmtp:55 a=b"]), 400, "offer_invalid"),
        (text([*VIDEO, "a=extmap:"]), 400, "offer_invalid"),
        (text(DATA), 422, "offer_unsupported"),
        (text(replaced(VIDEO, "a=sendonly", "a=recvonly")), 422, "offer_unsupported"),
        (text(replaced(VIDEO, "a=sendonly", "a=inactive")), 422, "offer_unsupported"),
        (text(*[VIDEO] * 64), 422, "offer_unsupported"),
        (text(VIDEO) + b"a=x\r\n" * 20_000, 413, "offer_too_large"),
        (text(VIDEO) + b"a=candidate:1 1 udp 1 192.168.1.7 61764 typ host\r\n" * 33, 413, "offer_too_large"),
        (b"v=0\r\n" * 4_000_000, 413, "body_too_large"),
    ],
)
async def test_bad_offers_are_the_clients_fault(start_bench: StartBench, body: bytes, status: int, code: str) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/whip", content=body, headers={"Content-Type": SDP})
        assert (response.status_code, problem(response)) == (status, code)
        await until(lambda: bench.signalling.publishers == 0, 5)
        assert not bench.runtime.streams


async def test_an_offer_without_ending_is_cut_off(start_bench: StartBench) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"v=0\r\n" * 13_108

    async with start_bench() as bench:
        response = await bench.http.post("/whip", content=endless(), headers={"Content-Type": SDP})
        assert response.status_code == 413
        assert sent < 1_000_000


async def test_an_offer_that_does_not_come_is_not_waited_for(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamapp.server.routes.webrtc.BODY_TIMEOUT_S", 0.05)

    async def stalled() -> AsyncIterator[bytes]:
        yield b"v=0\r\n"
        await asyncio.Event().wait()

    async with start_bench() as bench:
        response = await bench.http.post("/whip", content=stalled(), headers={"Content-Type": SDP})
        assert (response.status_code, problem(response)) == (408, "request_timeout")
        assert bench.signalling.publishers == 0


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "", "application/sdpx"])
async def test_only_sdp_is_an_offer(start_bench: StartBench, media_type: str) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/whip", content=text(VIDEO), headers={"Content-Type": media_type})
        assert (response.status_code, problem(response)) == (415, "media_type_unsupported")


async def test_the_media_type_may_have_parameters(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        sdp = await peer.offer()
        response = await bench.http.post(
            "/whip", content=sdp, headers={"Content-Type": "Application/SDP; charset=utf-8"}
        )
        assert response.status_code == 201
        await peer.close()


async def test_an_unknown_mode_is_refused(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/whip?mode=magic", content=text(VIDEO), headers={"Content-Type": SDP})
        assert (response.status_code, problem(response)) == (422, "request_invalid")


async def test_a_stream_that_is_not_there_cannot_be_played(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/whep/nowhere", content=text(VIDEO), headers={"Content-Type": SDP})
        assert (response.status_code, problem(response)) == (404, "not_found")


async def test_a_player_must_take_video(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        response = await bench.http.post("/whep/door", content=text(VIDEO), headers={"Content-Type": SDP})
        assert (response.status_code, problem(response)) == (422, "offer_unsupported")


async def test_a_client_that_is_gone_before_the_answer_holds_nothing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        sdp = (await peer.offer()).encode()
        messages: list[dict[str, object]] = [
            {"type": "http.request", "body": sdp, "more_body": False},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, object]:
            return messages.pop(0)

        async def send(_: object) -> None:
            pass

        headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", SDP.encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/whip",
            "raw_path": b"/whip",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        transport = bench.http._transport
        assert isinstance(transport, httpx.ASGITransport)
        await transport.app(scope, receive, send)
        assert bench.signalling.publishers == 0
        assert not bench.runtime.streams
        await peer.close()


async def test_a_cancelled_request_holds_nothing(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_bench() as bench:
        gathering = asyncio.Event()

        async def forever(*_: object) -> None:
            gathering.set()
            await asyncio.Event().wait()

        monkeypatch.setattr("aiortc.rtcicetransport.RTCIceGatherer.gather", forever)
        posting = asyncio.ensure_future(bench.http.post("/whip", content=text(VIDEO), headers={"Content-Type": SDP}))
        await gathering.wait()
        assert bench.signalling.publishers == 1
        posting.cancel()
        await until(lambda: bench.signalling.publishers == 0, 5)
        assert not bench.runtime.streams


# -- the other methods -------------------------------------------------------------------------------------------------


async def test_options_say_what_may_be_sent(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        for path in ("/whip", "/whep/door"):
            response = await bench.http.options(path)
            assert response.status_code == 200
            assert response.headers["accept-post"] == SDP
            assert "POST" in response.headers["allow"]
        peer, created = await offered(bench)
        response = await bench.http.options(created.headers["location"])
        assert response.headers["accept-patch"] == FRAGMENT
        assert "PATCH" in response.headers["allow"]
        await peer.close()


async def test_getting_is_a_success_without_content(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, created = await offered(bench)
        for path in ("/whip", "/whep/door", created.headers["location"]):
            for method in ("GET", "HEAD"):
                response = await bench.http.request(method, path)
                assert (response.status_code, response.content) == (204, b"")
        await peer.close()


async def test_other_methods_are_not_allowed(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, created = await offered(bench)
        location = created.headers["location"]
        for method, path in [("PUT", "/whip"), ("DELETE", "/whip"), ("PATCH", "/whep/x"), ("PUT", location)]:
            response = await bench.http.request(method, path)
            assert (response.status_code, problem(response)) == (405, "method_not_allowed")
            assert response.headers["allow"]
        response = await bench.http.post(location, content=b"", headers={"Content-Type": SDP})
        assert response.status_code == 405
        await peer.close()


async def test_deleting_ends_the_session_once(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, created = await offered(bench)
        location = created.headers["location"]
        deleted = await bench.http.delete(location, headers={"If-Match": '"of no interest"'})
        assert (deleted.status_code, deleted.content) == (200, b"")
        assert not bench.runtime.streams
        assert problem(await bench.http.delete(location)) == "not_found"
        assert problem(await bench.http.get(location)) == "not_found"
        await peer.close()


# -- trickle -----------------------------------------------------------------------------------------------------------


async def test_candidates_may_come_later(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel()
        peer.send_video(NumberedTrack())
        lines = (await peer.offer()).splitlines()
        candidates = [line for line in lines if line.startswith("a=candidate")]
        mid = next(line for line in lines if line.startswith("a=mid:"))
        sdp = "\r\n".join(line for line in lines if line not in candidates and line != "a=end-of-candidates") + "\r\n"
        created = await peer.post(sdp)
        location, etag = created.headers["location"], created.headers["etag"]
        fragment = "\r\n".join(["m=video 9 UDP/TLS/RTP/SAVPF 96", mid, *set(candidates), "a=end-of-candidates", ""])
        response = await bench.http.patch(
            location, content=fragment, headers={"Content-Type": FRAGMENT, "If-Match": etag}
        )
        assert (response.status_code, response.content) == (204, b"")
        assert "etag" not in response.headers
        await peer.pc.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
        await until(lambda: len(peer.results) >= 5, 15)
        await peer.close()


async def test_a_peer_without_any_candidate_of_its_own_connects(start_bench: StartBench) -> None:
    """Browsers that hide their address offer `.local` names only; their own checks are answered."""
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel()
        peer.send_video(NumberedTrack())
        sdp = (
            (await peer.offer()).replace("127.0.0.1", "3f2a-77.local").replace("IN IP4 3f2a-77.local", "IN IP4 0.0.0.0")
        )
        assert ".local" in sdp
        created = await peer.post(sdp)
        await peer.pc.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
        await until(lambda: len(peer.results) >= 5, 15)
        await peer.close()


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": SDP, "If-Match": "ETAG"}, "m=video 9 X 1\r\n", 415, "media_type_unsupported"),
        ({"Content-Type": FRAGMENT}, "m=video 9 X 1\r\n", 428, "precondition_required"),
        ({"Content-Type": FRAGMENT, "If-Match": '"other"'}, "m=video 9 X 1\r\n", 412, "precondition_failed"),
        ({"Content-Type": FRAGMENT, "If-Match": "*"}, "a=ice-ufrag:new\r\n", 422, "offer_unsupported"),
        ({"Content-Type": FRAGMENT, "If-Match": '"*"'}, "a=ice-ufrag:new\r\n", 422, "offer_unsupported"),
        ({"Content-Type": FRAGMENT, "If-Match": "ETAG"}, "a=ice-ufrag:another\r\n", 422, "offer_unsupported"),
        ({"Content-Type": FRAGMENT, "If-Match": "ETAG"}, "", 400, "offer_invalid"),
        ({"Content-Type": FRAGMENT, "If-Match": "ETAG"}, "garbage", 400, "offer_invalid"),
        ({"Content-Type": FRAGMENT, "If-Match": "ETAG"}, "a=x\r\n" * 10_000, 413, "offer_too_large"),
        (
            {"Content-Type": FRAGMENT, "If-Match": "ETAG"},
            "m=video 9 X 1\r\na=mid:0\r\n"
            + "".join(f"a=candidate:1 1 udp 1 192.168.1.7 {port} typ host\r\n" for port in range(5000, 5040)),
            413,
            "offer_too_large",
        ),
    ],
)
async def test_bad_fragments(
    start_bench: StartBench, headers: dict[str, str], body: str, status: int, code: str
) -> None:
    async with start_bench() as bench:
        peer, created = await offered(bench)
        headers = {name: created.headers["etag"] if value == "ETAG" else value for name, value in headers.items()}
        response = await bench.http.patch(created.headers["location"], content=body, headers=headers)
        assert (response.status_code, problem(response)) == (status, code)
        assert bench.signalling.publishers == 1, "the session lives on"
        await peer.close()


async def test_a_session_that_is_not_there_takes_no_candidates(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        headers = {"Content-Type": FRAGMENT, "If-Match": '"x"'}
        response = await bench.http.patch("/whip/nobody", content="m=video 9 X 1", headers=headers)
        assert (response.status_code, problem(response)) == (404, "not_found")
