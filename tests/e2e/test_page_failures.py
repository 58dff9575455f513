"""Whatever goes wrong, the page says so plainly, says what to do, and goes on when it can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import INSECURE_HOST, open_browser, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 15"
_CANDIDATE = re.compile(r"a=candidate:.*\r\n")
ONE_SESSION = {"WEBRTC__MAX_SESSIONS": "1", "SERVER__ALLOWED_HOSTS": f'["127.0.0.1", "{INSECURE_HOST}"]'}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with room for one camera."""
    with serving(tmp_path_factory.mktemp("server"), settings=ONE_SESSION) as server:
        yield server


@pytest.fixture(scope="module")
def bare_browser(camera_browser: Browser) -> Iterator[Browser]:
    """A browser on a machine without a camera."""
    with open_browser(beside=camera_browser) as browser:
        yield browser


def start(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()


def expect_notice(page: Page, title: str, advice: str) -> None:
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice-title")).to_have_text(title)
    expect(page.locator("#notice-advice")).to_contain_text(advice)


def test_no_camera(bare_browser: Browser, server: ServerProcess) -> None:
    with open_page(bare_browser, server.url) as page:
        start(page)
        expect_notice(page, "No camera was found", "Connect a camera")
        save_screenshot(page, "notice-no-camera")
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("button", name="Start camera")).to_be_visible()


def test_the_camera_is_refused(camera_browser: Browser, camera_file: Path, server: ServerProcess) -> None:
    with (
        open_browser(camera=camera_file, granted=False, beside=camera_browser) as asking_browser,
        open_page(asking_browser, server.url) as page,
    ):
        start(page)
        expect_notice(page, "The camera is not allowed", "Allow the camera for this page")
        page.context.grant_permissions(["camera"])
        page.get_by_role("button", name="Try again").click()
        until_state(page, LIVE)


def test_the_camera_is_in_use(camera_browser: Browser, server: ServerProcess) -> None:
    """No second program can hold a recorded camera, so the browser's answer is played."""
    busy = "async () => { throw new DOMException('', 'NotReadableError'); }"
    with open_page(camera_browser, server.url) as page:
        page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {busy}; }}")
        start(page)
        expect_notice(page, "The camera is in use", "Close it there, then try again")


def test_a_page_that_is_not_secure_can_still_watch(bare_browser: Browser, server: ServerProcess) -> None:
    with open_page(bare_browser, server.url.replace("127.0.0.1", INSECURE_HOST)) as page:
        assert page.evaluate("isSecureContext") is False
        start(page)
        expect_notice(page, "The camera needs a secure page", "https:// or on localhost")


def test_the_server_is_full_and_then_is_not(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as first:
        start(first)
        until_state(first, LIVE)
        with open_page(camera_browser, server.url) as second:
            start(second)
            expect_notice(second, "The server is full", "taken")
            expect(second.locator("#notice-countdown")).to_have_text(re.compile(r"Trying again in \d+ s"))
            save_screenshot(second, "notice-server-full")
            first.get_by_role("button", name="Stop").click()
            until_state(first, "state.kind === 'idle'")
            second.get_by_role("button", name="Try now").click()
            until_state(second, LIVE)
            expect(second.locator("#notice")).to_be_hidden()


def test_video_packets_do_not_get_through(camera_browser: Browser, server: ServerProcess) -> None:
    """Neither side hears an address of the other: a firewall, seen from the page."""

    def without_addresses(route: Route) -> None:
        offer = route.request.post_data
        if offer is None:
            route.continue_()
            return
        answer = route.fetch(post_data=_CANDIDATE.sub("", offer))
        route.fulfill(response=answer, body=_CANDIDATE.sub("", answer.text()))

    with open_page(camera_browser, server.url) as page:
        page.route("**/whip?*", without_addresses)
        start(page)
        until_state(page, "state.phase === 'waiting'", 20)
        expect_notice(page, "No connection after 10 seconds", "video packets (UDP) do not get through")
        page.unroute_all()
        page.get_by_role("button", name="Try now").click()
        until_state(page, LIVE)


def test_the_server_dies_and_comes_back(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        start(page)
        until_state(page, LIVE)
        server.kill()
        lost = until_state(page, "state.phase === 'waiting'", 8)
        assert lost["failure"]["code"] in {"server_unreachable", "connection_lost"}
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#connection")).to_have_text("Retrying")
        save_screenshot(page, "notice-server-gone")
        server.start()
        until_state(page, LIVE, 30)
        expect(page.locator("#notice")).to_be_hidden()


def test_what_the_server_says_is_text_and_never_markup(bare_browser: Browser, server: ServerProcess) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    stream = {"name": hostile, "source": hostile, "mode": "fast", "state": "failed", "code": "x", "reason": hostile}
    stream |= {"since": 0, "attempt": 0, "retry_in_s": None}
    with open_page(bare_browser, server.url) as page:
        page.route("**/streams", lambda route: route.fulfill(json=[stream]))
        expect(page.locator(".stream-name")).to_have_text(hostile)
        expect(page.locator(".stream-reason")).to_have_text(hostile)
        assert page.locator("#streams img").count() == 0
