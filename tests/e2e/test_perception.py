"""What a page tells those who do not see it, and how it keeps still for those whom movement troubles."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.accessibility import listen, said
from tests.browser import open_browser, open_page, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
DOWN = "rtsp://127.0.0.1:9/live"
LIVE = "state.phase === 'live' && state.drawn?.result?.tracks.length > 0"
MOVING = "document.getAnimations().filter(({ playState }) => playState === 'running').length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a camera that is down and always will be."""
    settings = {"SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "SOURCES__BACKOFF_S": "[20]"}
    with serving(tmp_path_factory.mktemp("server"), settings=settings) as server:
        added = {"name": "down", "source": DOWN}
        httpx.post(f"{server.url}/streams", json=added, timeout=10).raise_for_status()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(browser, server.url) as page:
        yield page


def changes(page: Page, selector: str, times: int) -> None:
    """Waits until the text of an element has changed so often."""
    element = page.locator(selector)
    for _ in range(times):
        before = element.inner_text()
        expect(element).not_to_have_text(before)


def test_a_countdown_over_the_picture_is_seen_and_not_spoken(page: Page) -> None:
    expect(page.locator("[data-stream=down] .stream-reason")).to_contain_text("cannot be reached")
    page.get_by_role("button", name="Watch down").click()
    until_state(page, "state.phase === 'quiet'")
    listen(page)
    changes(page, "#situation", 3)
    assert said(page) == []


def test_why_there_is_no_picture_is_spoken_once(page: Page) -> None:
    expect(page.locator("[data-stream=down] .stream-reason")).to_contain_text("cannot be reached")
    listen(page)
    page.get_by_role("button", name="Watch down").click()
    changes(page, "#situation", 3)
    assert len([text for text in said(page) if "cannot be reached" in text]) == 1


def test_a_notice_is_spoken_once_and_its_countdown_never(page: Page) -> None:
    refused = {"status": 503, "headers": {"Retry-After": "60"}, "json": {"detail": "all places are taken"}}
    page.route("**/whep/*", lambda route: route.fulfill(**refused))
    page.get_by_role("button", name="Watch the demo clip").click()
    expect(page.locator("#notice")).to_be_visible()
    listen(page)
    changes(page, "#notice-countdown", 3)
    assert said(page) == []
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("All places are taken")


def test_figures_that_run_are_named_and_not_spoken(page: Page) -> None:
    page.get_by_role("button", name="Watch the demo clip").click()
    frame = until_state(page, LIVE)["figures"]["frame"]
    listen(page)
    until_state(page, f"state.figures.frame > {frame + 60}")
    assert len(said(page)) <= 1
    names = page.get_by_role("region", name="Measurements").aria_snapshot()
    for name in ("Latency", "Frames in", "Results out", "Faces", "Dropped"):
        assert f"term: {name}" in names
    assert "img" not in names  # the trace says nothing that the numbers do not
    expect(page.get_by_role("img", name="Live video with a box around every face")).to_be_visible()


def test_a_busy_timeline_is_spoken_now_and_then(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/events.html") as page:
        expect(page.locator("#connection-text")).to_have_text("Live")
        listen(page)
        shown = page.locator(".event").count()
        for index in range(3):
            added = {"name": f"busy-{index}", "source": "demo"}
            httpx.post(f"{server.url}/streams", json=added, timeout=10).raise_for_status()
        page.wait_for_function(f"() => document.querySelectorAll('.event').length >= {shown + 4}", timeout=30_000)
        assert any("appeared on" in text for text in said(page))
        assert len(said(page)) < page.locator(".event").count() - shown
        for index in range(3):
            httpx.delete(f"{server.url}/streams/busy-{index}", timeout=10).raise_for_status()


@pytest.mark.parametrize("wish", ["reduce", "no-preference"])
def test_nothing_moves_for_those_who_ask_for_that(browser: Browser, server: ServerProcess, wish: str) -> None:
    with open_page(browser, server.url, reduced_motion=wish) as page:
        expect(page.locator("[data-stream=down]")).to_have_attribute("data-state", "connecting")
        page.wait_for_function("() => performance.now() > 500")
        assert (page.evaluate(MOVING) > 0) is (wish == "no-preference")


def test_switches_and_the_page_one_is_on_show_in_colours_of_the_reader(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, server.url, forced_colors="active") as page:
        expect(page.get_by_role("switch").first).to_have_css("appearance", "auto")
        expect(page.get_by_role("link", name="Live")).to_have_css("text-decoration-line", "underline")
        page.emulate_media(forced_colors="none")
        expect(page.get_by_role("switch").first).to_have_css("appearance", "none")
