"""The demo page is there where it may be, says why where it is not, and costs nothing until somebody asks for it."""

from __future__ import annotations

import sys

import pytest

from streamapp.demo.page import why_absent
from streamapp.sections import DemoSettings, ServerSettings
from streamapp.server.security import CONTENT_SECURITY_POLICY
from streamapp.settings import Settings
from tests.demo.conftest import StartBench

PATHS = ("/demo/", "/demo/config", "/demo/gradio_api/queue/join", "/demo/files/clip")


async def test_without_gradio_the_server_starts_and_says_what_is_missing(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    async with start_bench() as bench:
        for path in PATHS:
            answer = await bench.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert "pip install 'streamapp[demo]'" in answer.json()["detail"]
        assert (await bench.http.get("/health")).status_code == 200
        assert (await bench.http.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("demo", "server", "why"),
    [
        (DemoSettings(enabled=False), ServerSettings(), "demo.enabled"),
        (DemoSettings(), ServerSettings(host="192.168.1.5"), "loopback"),
        (DemoSettings(), ServerSettings(host="0.0.0.0"), "loopback"),
    ],
)
async def test_it_is_there_only_where_it_may_be(
    start_bench: StartBench, demo: DemoSettings, server: ServerSettings, why: str
) -> None:
    async with start_bench(demo=demo, server=server) as bench:
        for path in PATHS:
            answer = await bench.http.get(path)
            assert answer.status_code == 404
            assert why in answer.json()["detail"]
        uploaded = await bench.http.post(
            "/demo/files/picture", content=b"x", headers={"Content-Type": "application/octet-stream"}
        )
        assert uploaded.status_code == 404
        assert bench.demo.shelf.items == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "::1"])
def test_any_loopback_address_will_do(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamapp.demo.library.is_installed", lambda: True)
    assert why_absent(Settings(server=ServerSettings(host=host))) is None


async def test_nothing_is_loaded_until_somebody_asks(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        await bench.http.get("/")
        await bench.http.get("/health")
        assert not bench.demo.is_loaded


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "host_not_allowed"),
        ({"Origin": "http://evil.example"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
    ],
)
async def test_the_guards_of_the_server_stand_before_it(
    start_bench: StartBench, headers: dict[str, str], code: str
) -> None:
    async with start_bench() as bench:
        for path in PATHS[2:]:
            answer = await bench.http.post(path, json={}, headers=headers)
            assert answer.json()["code"] == code
        assert not bench.demo.is_loaded


async def test_our_own_page_keeps_its_strict_policy(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        for path in ("/", "/demo_files.js", "/health", "/demo"):
            answer = await bench.http.get(path)
            assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


async def test_the_demo_alone_has_its_page_and_the_camera_and_nothing_else(start_bench: StartBench) -> None:
    async with start_bench(alone=True) as bench:
        answer = await bench.http.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/demo/")
        assert (await bench.http.options("/whip")).headers["accept-post"] == "application/sdp"
        for path in ("/streams", "/metrics", "/status"):
            assert (await bench.http.get(path)).status_code == 404
        assert (await bench.http.post("/detect/fast")).status_code in (404, 405)
