"""Every page and its main states by axe's rules (WCAG 2.2 AA), in light and dark, on a desk and a phone."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from streamapp.assets import asset
from tests.accessibility import assert_accessible
from tests.browser import open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync
from tests.weights import models_folder, need_full_mode

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.media, pytest.mark.timeout(300)]
READY = {
    "index.html": "#recordings-empty:not(:text('Reading'))",
    "events.html": "#connection[data-phase=live]",
    "login.html": "#account:visible",
    "machines.html": "#machines tbody tr",
    "memory.html": "#legend li",
    "people.html": "#here-empty:not(:text('Asking'))",
    "settings.html": "#sections section",
    "wall.html": "#empty:not(:text('Reading'))",
}
"""What is on a page once it has started. A new page needs a line here, and tests of its main states below."""
KNOWN = "state.drawn?.result?.tracks.some((track) => track.analyses.identity && track.analyses.liveness)"
DOWN = "rtsp://127.0.0.1:9/live"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every model there is."""
    folder = models_folder(tmp_path_factory.mktemp("models"))
    settings = {"MODELS__DIR": str(folder), "SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    with serving(tmp_path_factory.mktemp("server"), settings=settings) as server:
        yield server


def add(server: ServerProcess, name: str, source: str) -> None:
    httpx.post(f"{server.url}/streams", json={"name": name, "source": source}, timeout=20).raise_for_status()


def test_every_page_is_known_here() -> None:
    assert {path.name for path in asset("web").rglob("*.html")} == READY.keys()


@pytest.mark.parametrize("name", sorted(READY))
def test_a_page_as_it_opens(camera_browser: Browser, server: ServerProcess, name: str) -> None:
    with open_page(camera_browser, f"{server.url}/{name}") as page:
        page.locator(READY[name]).first.wait_for()
        assert_accessible(page)


def test_what_shuts_people_out_is_noticed(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, f"{server.url}/login.html") as page:
        page.locator("#account:visible").wait_for()
        page.locator("main").evaluate(
            """main => {
              main.append(document.createElement('button'), document.createElement('p'));
              main.lastChild.textContent = 'pale';
              main.lastChild.style.cssText = 'color: #999; background: #aaa; min-width: 700px';
            }"""
        )
        with pytest.raises(AssertionError) as caught:
            assert_accessible(page)
    for told in ("desk, light: button-name", "phone, dark: button-name", "color-contrast", "sideways: 360 px: p#"):
        assert told in str(caught.value)


def test_the_console_at_work_and_its_dialogs(camera_browser: Browser, server: ServerProcess) -> None:
    need_full_mode()
    add(server, "parking", DOWN)
    with open_page(camera_browser, server.url) as page:
        page.get_by_label("Camera").get_by_label("Depth").select_option("full")
        page.get_by_role("button", name="Start camera").click()
        until_state(page, KNOWN, 60)
        page.get_by_text("Where time and frames go").click()
        page.locator("[data-stream]", has_text="a browser's camera").locator(".stream-record").click()
        expect(page.locator("#rec")).to_be_visible()
        expect(page.locator("[data-stream=parking] .stream-reason")).not_to_be_empty()
        assert_accessible(page)
        page.get_by_role("button", name="Why is face").first.click()
        expect(page.locator("#why")).to_contain_text("nobody is enrolled")
        assert_accessible(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Add by pictures").click()
        page.locator("#enroll-form").evaluate("form => { form.noValidate = true; form.requestSubmit(); }")
        expect(page.locator("#enroll-error")).not_to_be_empty()
        assert_accessible(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Stop recording").click()
        page.locator(".recording-play:enabled").first.click()
        until_state(page, "state.player")
        assert_accessible(page)
        save_screenshot(page, "accessible-player")
        page.get_by_role("button", name="Close").click()
        page.locator(".recording-delete").first.click()
        expect(page.locator(".recording-delete[data-armed]")).to_be_visible()
        assert_accessible(page)


def test_what_went_wrong_over_the_picture(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.route("**/whip?*", lambda route: route.fulfill(status=503, headers={"Retry-After": "60"}))
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator("#notice")).to_be_visible()
        assert_accessible(page)


def test_the_timeline_with_events_and_with_none(camera_browser: Browser, server: ServerProcess) -> None:
    add(server, "door", "demo")
    with open_page(camera_browser, f"{server.url}/events.html") as page:
        page.locator(".event").first.wait_for(timeout=30_000)
        assert_accessible(page)
        page.get_by_label("Stream", exact=True).fill("elsewhere")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#none")).to_be_visible()
        assert_accessible(page)


def test_a_plan_of_the_memory(camera_browser: Browser, server: ServerProcess) -> None:
    need_full_mode()
    httpx.post(f"{server.url}/streams", json={"name": "deep", "source": "demo", "mode": "full"}).raise_for_status()
    until_sync(lambda: len(server.get("/status")["memory"]["resident"]) >= 3, 60)
    with open_page(camera_browser, f"{server.url}/memory.html") as page:
        page.locator("#resident tbody tr").first.wait_for()
        page.get_by_label("Profile").select_option("full")
        page.get_by_role("button", name="Plan").click()
        page.locator("#plan tbody tr").first.wait_for()
        assert_accessible(page)


@pytest.fixture
def login(camera_browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """The page to sign in, of a server that asks for a token and knows none of what it is sent."""
    answers = {"GET": (200, {"required": True, "name": None, "scopes": []}), "POST": (401, {"detail": "not known"})}
    with open_page(camera_browser, server.url) as page:
        page.route(
            "**/login",
            lambda route: route.fulfill(status=answers[route.request.method][0], json=answers[route.request.method][1]),
        )
        page.goto(f"{server.url}/login.html")
        yield page


def test_signing_in_and_a_wrong_token(login: Page) -> None:
    expect(login.get_by_label("Token")).to_be_focused()
    assert_accessible(login)
    login.get_by_label("Token").fill("wrong")
    login.get_by_role("button", name="Sign in").click()
    expect(login.get_by_role("alert")).to_contain_text("Not known")
    assert_accessible(login)
