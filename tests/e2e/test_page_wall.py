"""The wall: every stream with its newest picture, at a cost that does not grow with their number."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync

pytestmark = pytest.mark.e2e
MOST_PICTURES_PER_S = 24
SNAPSHOT = re.compile(r"/streams/([\w-]+)/snapshot\.jpg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two streams at work and a camera that is not there."""
    on_loopback = {"SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "RECORDING__MIN_FREE_BYTES": "0"}
    with serving(tmp_path_factory.mktemp("server"), settings=on_loopback) as server:
        sources = {"hall": "demo", "stairs": "demo", "gate": "rtsp://127.0.0.1:1/live"}
        for name, source in sources.items():
            added = httpx.post(f"{server.url}/streams", json={"name": name, "source": source}, timeout=10)
            added.raise_for_status()
        until_sync(lambda: [s["state"] for s in server.get("/streams")].count("live") == 2, 20)
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(browser, f"{server.url}/wall.html") as page:
        yield page


class ManyStreams:
    """Lets a page believe that there are so many streams, and counts the pictures that it asks for."""

    def __init__(self, server: ServerProcess, count: int) -> None:
        hall: dict[str, Any] = server.get("/streams/hall")
        self.asked: Counter[str] = Counter()
        self._streams = [hall | {"name": f"camera-{number}"} for number in range(1, count + 1)]
        self._picture = httpx.get(f"{server.url}/streams/hall/snapshot.jpg?width=480", timeout=10).content

    def use_in(self, page: Page) -> None:
        page.route("**/streams", lambda route: route.fulfill(body=json.dumps(self._streams)))
        page.route(SNAPSHOT, self._answer)
        page.reload()
        expect(page.locator("[data-stream=hall]")).to_have_count(0)
        self.asked.clear()

    def _answer(self, route: Route) -> None:
        found = SNAPSHOT.search(route.request.url)
        assert found is not None
        self.asked[found[1]] += 1
        etag = f'"{self.asked.total()}"'
        route.fulfill(body=self._picture, content_type="image/jpeg", headers={"ETag": etag})


def pictures(page: Page, name: str) -> int:
    return int(page.locator(f"[data-stream={name}]").get_attribute("data-pictures") or 0)


def test_every_stream_is_shown_moving_with_its_figures_or_says_why_not(page: Page) -> None:
    for name in ("hall", "stairs"):
        screen = page.locator(f"[data-stream={name}]")
        expect(screen).to_have_attribute("data-state", "live")
        expect(screen.locator(".screen-faces")).to_have_text(re.compile(r"\d"))
        expect(screen.locator(".screen-fps")).to_have_text(re.compile(r"\d\.\d"))
        expect(screen.locator(".screen-latency")).to_have_text(re.compile(r"\d+ ms"))
        page.wait_for_function("name => document.querySelector(`[data-stream=${name}]`).dataset.pictures > 5", arg=name)
    coloured = page.evaluate("""() => {
      const canvas = document.querySelector('[data-stream=hall] canvas');
      return new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size;
    }""")
    assert coloured > 50, "there is a picture"
    gate = page.locator("[data-stream=gate]")
    expect(gate).to_contain_text("cannot be reached")
    expect(gate).to_contain_text(re.compile(r"Connecting in \d+ s|try \d+"))
    expect(page.locator("#sum-text")).to_have_text("2 of 3 streams live")
    save_screenshot(page, "wall-live")


def test_a_click_opens_the_stream(page: Page) -> None:
    page.get_by_role("link", name="Open stairs").click()
    expect(page.locator("#viewing")).to_have_text("stairs")
    seen = until_state(page, "state.phase === 'live' && state.drawn?.result")
    assert seen["name"] == "stairs"


def test_a_recording_is_begun_shown_and_ended(page: Page) -> None:
    screen = page.locator("[data-stream=hall]")
    page.get_by_role("button", name="Record hall", exact=True).click()
    expect(screen.locator(".rec")).to_be_visible()
    page.get_by_role("button", name="Stop recording hall").click()
    expect(screen.locator(".rec")).to_be_hidden()


def test_a_hidden_tab_asks_for_nothing(page: Page) -> None:
    until_sync(lambda: pictures(page, "hall") > 2, 15)
    page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
      document.dispatchEvent(new Event('visibilitychange'));
    }""")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    shown = pictures(page, "hall")
    until_sync(lambda: pictures(page, "hall") > shown, 10)
    assert any(SNAPSHOT.search(url) for url in asked)


def test_only_what_can_be_seen_is_asked_for(browser: Browser, server: ServerProcess) -> None:
    many = ManyStreams(server, 16)
    with open_page(browser, f"{server.url}/wall.html", viewport=PHONE) as page:
        many.use_in(page)
        expect(page.locator("[data-stream=camera-1][data-pictures]")).to_be_visible()
        page.wait_for_timeout(1000)
        assert "camera-16" not in many.asked
        page.locator("[data-stream=camera-16]").scroll_into_view_if_needed()
        expect(page.locator("[data-stream=camera-16][data-pictures]")).to_be_visible()
        page.wait_for_timeout(500)
        before = many.asked["camera-1"]
        page.wait_for_timeout(1000)
        assert many.asked["camera-1"] == before


def test_more_streams_cost_no_more_pictures(browser: Browser, server: ServerProcess) -> None:
    many = ManyStreams(server, 9)
    with open_page(browser, f"{server.url}/wall.html") as page:
        many.use_in(page)
        expect(page.locator("[data-stream=camera-9][data-pictures]")).to_be_visible()
        begun_ms = page.evaluate("performance.now()")
        before = many.asked.total()
        page.wait_for_timeout(3000)
        asked, took_ms = many.asked.total() - before, page.evaluate("performance.now()") - begun_ms
        assert 0 < asked <= MOST_PICTURES_PER_S * took_ms / 1000 + 9
        assert len(many.asked) == 9


@pytest.mark.parametrize(
    ("count", "viewport", "scheme", "columns"),
    [
        (1, None, "light", 1),
        (4, None, "dark", 2),
        (9, None, "light", 3),
        (16, {"width": 1920, "height": 1080}, "dark", 4),
        (16, PHONE, "dark", 1),
        (4, PHONE, "light", 1),
    ],
)
def test_one_to_sixteen_streams_fit(
    browser: Browser, server: ServerProcess, count: int, viewport: dict[str, int] | None, scheme: str, columns: int
) -> None:
    many = ManyStreams(server, count)
    with ExitStack() as stack:
        context = {"color_scheme": scheme} | ({"viewport": viewport} if viewport else {})
        page = stack.enter_context(open_page(browser, f"{server.url}/wall.html", **context))
        many.use_in(page)
        expect(page.locator(".screen")).to_have_count(count)
        expect(page.locator(".screen[data-pictures]").first).to_be_visible()
        found = page.evaluate(
            "getComputedStyle(document.querySelector('#screens')).gridTemplateColumns.split(' ').length"
        )
        assert found == columns
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing to scroll sideways"
        page.wait_for_timeout(1500)  # so that the screenshot shows all
        save_screenshot(page, f"wall-{count}-{scheme}-{'phone' if viewport == PHONE else 'desktop'}")


def test_without_streams_the_way_to_one_is_shown(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/wall.html") as page:
        ManyStreams(server, 0).use_in(page)
        expect(page.locator("#empty")).to_contain_text("No streams yet")
        page.get_by_role("link", name="Add or change streams").click()
        expect(page.get_by_label("Add a stream").get_by_label("Kind")).to_be_in_viewport()
