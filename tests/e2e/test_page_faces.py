"""The cards of faces: what is known of each, how fresh that is, and why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.weights import models_folder

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.media]
COMPARED = "state.drawn?.result?.tracks.some((track) => track.analyses.identity && track.analyses.liveness)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every model there is."""
    folder = models_folder(tmp_path_factory.mktemp("models"))
    with serving(tmp_path_factory.mktemp("server"), settings={"MODELS__DIR": str(folder)}) as server:
        yield server


def start_camera(page: Page, depth: str = "full") -> None:
    page.get_by_label("Camera").get_by_label("Depth").select_option(depth)
    page.get_by_role("button", name="Start camera").click()


def test_each_face_has_a_card_with_what_is_known_and_how_fresh_it_is(
    camera_browser: Browser, server: ServerProcess
) -> None:
    with open_page(camera_browser, server.url) as page:
        expect(page.locator("#faces-empty")).to_contain_text("once there is a picture")
        start_camera(page)
        seen = until_state(page, COMPARED, 40)
        track = seen["drawn"]["result"]["tracks"][0]
        card = page.locator(f"[data-track='{track['id']}']")
        expect(card.locator(".face-name")).to_have_text("Unknown")
        expect(card).to_contain_text("nobody is enrolled yet")
        expect(card).to_contain_text("% live")
        expect(card).to_contain_text("about")
        expect(card).to_contain_text("look")
        expect(card).to_contain_text("no model installed")  # there are no deepfake weights to test with
        expect(page.locator("#faces-empty")).to_be_hidden()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".face")).to_have_count(0)


def test_a_card_says_why_and_a_face_that_is_gone_says_that(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        start_camera(page)
        until_state(page, COMPARED, 40)
        page.get_by_role("button", name="Why is face").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Unknown, nobody is enrolled yet")
        expect(dialog).to_contain_text("best likeness")
        expect(dialog).to_contain_text("no model installed")
        expect(dialog).to_contain_text("Licences of the weights: ")
        save_screenshot(page, "console-why")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_the_cards_fit_on_a_phone(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url, viewport=PHONE, color_scheme="dark") as page:
        start_camera(page)
        until_state(page, COMPARED, 40)
        page.locator(".face").first.scroll_into_view_if_needed()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        save_screenshot(page, "console-faces-phone")
        page.get_by_role("button", name="Why is face").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("best likeness")
        assert page.evaluate("document.querySelector('#why').getBoundingClientRect().right <= innerWidth")
        save_screenshot(page, "console-why-phone")


def test_without_analysis_a_card_says_so(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        start_camera(page, "fast")
        until_state(page, "state.drawn?.result?.tracks.length > 0", 40)
        page.get_by_role("button", name="Why is face").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("compared with nobody")
