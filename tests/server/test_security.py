"""Who is let in, what browsers are told, and how much is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from streamapp.assets import asset
from streamapp.sections import ServerSettings
from tests.server.conftest import StartBench
from tests.server.routes.test_webrtc import problem

OWN = "http://127.0.0.1:8000"


async def ask(bench_http: httpx.AsyncClient, method: str = "GET", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await bench_http.request(method, "/streams", headers=named, content=b"{}" if method == "POST" else None)


# -- the name we are called by -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LocalHost", "[::1]", "[::1]:8000"])
async def test_known_names_are_answered(start_bench: StartBench, host: str) -> None:
    async with start_bench() as bench:
        assert (await ask(bench.http, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "evil.example:8000", "localhost.", "127.0.0.1:8000:1"),
        *("127.0.0.1/health?", "127.0.0.1@evil.example", "", ":8000", "127.0.0.1:", "127.0.0.1:x", "[::1", "::1"),
    ],
)
async def test_other_names_are_not(start_bench: StartBench, host: str) -> None:
    """DNS rebinding: a page of another name whose address was changed to ours."""
    async with start_bench() as bench:
        response = await ask(bench.http, host=host)
        if host == "127.0.0.1:":  # an empty port is the default one (RFC 3986 section 3.2.3)
            assert response.status_code == 200
        else:
            assert (response.status_code, problem(response)) == (400, "host_not_allowed")


async def test_an_address_that_is_served_on_purpose_is_a_known_name(start_bench: StartBench) -> None:
    server = ServerSettings(host="192.168.1.5", allowed_hosts=("cameras.lan",))
    async with start_bench(server=server) as bench:
        assert (await ask(bench.http, host="192.168.1.5:8000")).status_code == 200
        assert (await ask(bench.http, host="cameras.lan")).status_code == 200
        assert (await ask(bench.http, host="127.0.0.1")).status_code == 400


# -- the page that asks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": OWN},
        {"origin": OWN, "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_our_page_and_programs_may_do_everything(
    start_bench: StartBench, method: str, headers: dict[str, str]
) -> None:
    async with start_bench() as bench:
        assert (await ask(bench.http, method, **headers)).status_code not in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
        {"origin": "http://evil.example", "sec_fetch_site": "cross-site", "content_type": "text/plain"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
async def test_other_pages_may_change_nothing(start_bench: StartBench, headers: dict[str, str]) -> None:
    async with start_bench() as bench:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = await ask(bench.http, method, **headers)
            assert (response.status_code, problem(response)) == (403, "origin_not_allowed")
        whip = await bench.http.post("/whip", headers={name.replace("_", "-"): v for name, v in headers.items()})
        assert whip.status_code == 403


async def test_other_pages_may_link_to_ours_and_embed_nothing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        link = await ask(bench.http, sec_fetch_site="cross-site", sec_fetch_mode="navigate")
        assert link.status_code == 200
        image = await ask(bench.http, sec_fetch_site="cross-site", sec_fetch_mode="no-cors")
        assert image.status_code == 403


async def test_origins_of_the_settings_may_use_the_api(start_bench: StartBench) -> None:
    friend = "https://dashboard.lan"
    async with start_bench(server=ServerSettings(allowed_origins=(friend,))) as bench:
        response = await ask(bench.http, origin=friend, sec_fetch_site="cross-site", sec_fetch_mode="cors")
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == friend
        asked = {"Origin": friend, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
        preflight = await bench.http.options(
            "/whip", headers={**asked, "Access-Control-Request-Headers": "content-type"}
        )
        assert preflight.status_code == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]
        posted = await bench.http.post("/whip", headers={"Origin": friend, "Content-Type": "application/sdp"})
        assert posted.status_code == 400
        assert "Location" in posted.headers["access-control-expose-headers"]
        other = await ask(bench.http, origin="https://evil.example")
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


# -- what browsers are told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/streams", "/nowhere", "/whip", "/metrics", "/health", "/streams/x/mjpeg"])
async def test_every_response_has_the_headers(start_bench: StartBench, path: str) -> None:
    async with start_bench() as bench:
        headers = (await bench.http.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["permissions-policy"] == "camera=(self), microphone=()"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("script", sorted(asset("web").rglob("*.js")), ids=lambda path: path.name)
def test_no_script_of_the_pages_makes_markup_out_of_text(script: Path) -> None:
    """Names of people, streams and cameras are set as text (XSS); the policy is the second line."""
    text = script.read_text("utf-8")
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert dangerous not in text


async def test_refusals_have_them_too(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        assert "content-security-policy" in (await ask(bench.http, host="evil.example")).headers


# -- how much is read --------------------------------------------------------------------------------------------------


async def test_a_connection_whose_body_may_be_endless_is_closed(start_bench: StartBench) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{}"
        yield b"{}"

    async with start_bench() as bench:
        unread = await bench.http.post("/nowhere", content=chunks())
        assert (unread.status_code, unread.headers.get("connection")) == (404, "close")
        read = await bench.http.post("/streams", content=chunks())
        assert (read.status_code, read.headers.get("connection")) == (422, None)
        of_known_length = await bench.http.post("/nowhere", content=b"{}")
        assert (of_known_length.status_code, of_known_length.headers.get("connection")) == (404, None)


async def test_a_body_that_does_not_come_is_not_waited_for(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamapp.server.security.BODY_TIMEOUT_S", 0.05)

    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"name": '
        await asyncio.Event().wait()

    async with start_bench() as bench:
        headers = {"Content-Type": "application/json"}
        response = await bench.http.post("/streams", content=stalled(), headers=headers)
        assert (response.status_code, problem(response)) == (408, "request_timeout")


async def test_a_form_or_plain_text_is_no_json(start_bench: StartBench) -> None:
    """What a foreign page can send without a preflight (CSRF), if a browser sent neither Origin nor Sec-Fetch-Site."""
    async with start_bench() as bench:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
            headers = {"Content-Type": kind} if kind else {}
            body = b'{"name": "door", "source": "demo"}'
            response = await bench.http.post("/streams", content=body, headers=headers)
            assert response.status_code in (415, 422), kind
        assert not bench.runtime.streams
