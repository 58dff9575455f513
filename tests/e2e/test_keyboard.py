"""The console without a mouse: every journey by keys alone, the focus always in sight and never lost."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.accessibility import Focus, focus, press_until
from tests.browser import open_browser, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync

pytestmark = pytest.mark.e2e
SHOWN = """
  state.player?.paused && !document.querySelector('#player-video').seeking &&
  Math.abs(document.querySelector('#player-video').currentTime - state.player.mediaTime) < 0.034
"""
"""The player is still, and shows the picture that it stands at."""
LIVE = "state.phase === 'live' && state.drawn?.result?.tracks.length > 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(browser, server.url) as page:
        expect(page.locator("#recordings-empty")).not_to_have_text("Reading the list")
        yield page


def record(server: ServerProcess, name: str, seconds: float = 1.0) -> None:
    """A recording of a stream that is gone again."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        http.post("/streams", json={"name": name, "source": "demo"}).raise_for_status()
        http.post(f"/streams/{name}/recording").raise_for_status()
        until_sync(lambda: http.get(f"/streams/{name}").json()["recording"]["seconds"] > seconds, 30)
        http.delete(f"/streams/{name}").raise_for_status()


def here(page: Page) -> Focus:
    found = focus(page)
    assert found is not None, "the focus is lost"
    return found


def test_a_stream_is_opened_and_stopped(page: Page) -> None:
    passed = press_until(page, "Watch the demo clip")
    assert passed[0] == "Skip to the video"
    assert passed.index("Events") < passed.index("Memory") < passed.index("Start camera")
    page.keyboard.press("Enter")
    until_state(page, LIVE)
    assert here(page).id == "stage"
    save_screenshot(page, "keyboard-stage")
    passed = press_until(page, "Stop")
    assert [name.split(" ")[0] for name in passed] == ["Camera", "Resolution", "Depth", "Drawn", "Blur", "Stop"]
    page.keyboard.press("Enter")
    until_state(page, "state.kind === 'idle'")
    assert here(page).id == "start"


def test_the_way_to_the_video_is_short(page: Page) -> None:
    press_until(page, "Skip to the video")
    page.keyboard.press("Enter")
    assert here(page).id == "stage"


def test_a_camera_that_does_not_open_is_told_and_the_focus_goes_on(page: Page) -> None:
    press_until(page, "Start camera")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_visible()
    assert here(page).id == "stage"
    press_until(page, "Close")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_hidden()
    assert here(page).id == "start"


def test_why_a_face_is_called_that_is_read_and_left(page: Page) -> None:
    press_until(page, "Watch the demo clip")
    page.keyboard.press("Enter")
    until_state(page, LIVE)
    press_until(page, "Why is face")
    opener = here(page).name
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("compared with nobody")
    assert here(page).id == "why-close"
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("[document.body, document.activeElement].includes(document.activeElement)")
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('#why'))"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    is_there = page.get_by_role("button", name=opener, exact=True).count()
    assert here(page).name == opener if is_there else here(page).id == "stage"


def test_a_recording_is_played_stepped_sought_and_left(page: Page, server: ServerProcess) -> None:
    record(server, "played", 2.0)
    page.reload()
    page.locator(".recording").first.wait_for()
    press_until(page, "Play played")
    page.keyboard.press("Enter")
    until_state(page, "state.player?.result")
    assert here(page).id == "player-close"
    assert press_until(page, "Pause") == ["Position", "Step: one picture back", "Pause"]
    page.keyboard.press("Space")
    paused = until_state(page, SHOWN)["player"]["mediaTime"]
    page.keyboard.press("ArrowRight")
    on = until_state(page, f"{SHOWN} && state.player.mediaTime > {paused}")["player"]["mediaTime"]
    page.keyboard.press("ArrowLeft")
    until_state(page, f"{SHOWN} && state.player.mediaTime < {on}")
    press_until(page, "Position", key="Shift+Tab")
    page.keyboard.press("Home")
    until_state(page, f"{SHOWN} && state.player.mediaTime < 0.05")
    expect(page.locator("#player-seek")).to_have_attribute("aria-valuetext", "0:00.00")
    page.keyboard.press("End")
    until_state(page, f"{SHOWN} && state.player.mediaTime > 1")
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()
    assert here(page).name.startswith("Play played")


def test_somebody_is_enrolled_through_the_form_in_its_order(page: Page) -> None:
    press_until(page, "Add by pictures")
    page.keyboard.press("Enter")
    assert here(page).name == "Name"
    passed = press_until(page, "Enroll")
    assert list(dict.fromkeys(passed)) == [
        "Who agreed to it",
        "To which text",
        "Until",
        "Pictures of this face alone",
        "Even if it is like somebody enrolled",
        "Even if it looks like a photo or a screen",
        "Enroll",
    ]
    page.keyboard.press("Enter")  # nothing is filled in: the browser says so at the first field
    assert here(page).name == "Name"
    page.keyboard.press("Escape")
    expect(page.locator("#enroll")).to_be_hidden()
    assert here(page).name == "Add by pictures"


def test_deleting_asks_first_and_the_focus_goes_to_what_is_left(page: Page, server: ServerProcess) -> None:
    for stale in server.get("/recordings")["recordings"]:
        httpx.delete(f"{server.url}/recordings/{stale['id']}", timeout=10).raise_for_status()
    record(server, "older")
    record(server, "newer")
    page.reload()
    expect(page.locator(".recording")).to_have_count(2)
    press_until(page, "Delete newer")
    page.keyboard.press("Enter")
    assert here(page).name.startswith("Really? Delete newer")
    expect(page.locator(".recording")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.locator(".recording")).to_have_count(1)
    assert here(page).name.startswith("Play older")
    press_until(page, "Delete older")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".recording")).to_have_count(0)
    assert here(page).id == "recordings-title"


def test_a_stream_is_added_and_removed(page: Page) -> None:
    press_until(page, "Name")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page.locator("[data-stream=typed]")).to_be_visible()
    press_until(page, "Remove typed", key="Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("[data-stream=typed]")).to_have_count(0)
    assert here(page).name.startswith("Watch") or here(page).id == "streams-title"
