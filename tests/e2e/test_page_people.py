"""Enrolling on the page: by a face in the picture or by pictures; named, said not to be them, exported, erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.shared_data import shared_file
from tests.weights import models_folder

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.media]
PATIENCE_MS = 40_000


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every model there is and nobody enrolled."""
    folder = models_folder(tmp_path_factory.mktemp("models"))
    with serving(tmp_path_factory.mktemp("server"), settings={"MODELS__DIR": str(folder)}) as server:
        yield server


def start_camera(page: Page) -> None:
    page.get_by_label("Camera").get_by_label("Depth").select_option("full")
    page.get_by_role("button", name="Start camera").click()


def fill(page: Page, name: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Who agreed to it").fill("herself, in writing")
    dialog.get_by_label("To which text").fill("faces-2026-01")


def test_a_face_in_the_picture_is_enrolled_named_rejected_and_erased(
    camera_browser: Browser, server: ServerProcess
) -> None:
    with open_page(camera_browser, server.url) as page:
        expect(page.locator("#people-note")).to_contain_text("Nobody yet")
        start_camera(page)
        page.get_by_role("button", name="Enroll face").first.click(timeout=PATIENCE_MS)
        fill(page, "Ada <b>Lovelace</b>")
        save_screenshot(page, "console-enroll")
        page.get_by_role("button", name="Enroll", exact=True).click()
        person = page.locator(".person")
        expect(person.locator(".person-name")).to_have_text("Ada <b>Lovelace</b>", timeout=PATIENCE_MS)
        card = page.locator(".face[data-identity=identified]").first
        expect(card.locator(".face-name")).to_have_text("Ada <b>Lovelace</b>", timeout=PATIENCE_MS)
        expect(card).to_contain_text("clearly alike")
        card.get_by_role("button", name="Why is face").click()
        expect(page.get_by_role("dialog")).to_contain_text("Most alike")
        expect(page.get_by_role("dialog")).to_contain_text("cosine by model")
        save_screenshot(page, "console-identified-why")
        page.keyboard.press("Escape")
        page.evaluate("scrollTo(0, 0)")
        save_screenshot(page, "console-identified")
        with page.expect_download() as download:
            person.get_by_role("link", name="Everything about").click()
        told = json.loads(Path(download.value.path()).read_text())
        assert "Lovelace" in json.dumps(told)
        card.get_by_role("button", name="Not Ada").click()
        expect(page.locator(".face[data-identity=identified]")).to_have_count(0, timeout=PATIENCE_MS)
        erase = person.get_by_role("button", name="Erase")
        erase.click()
        expect(erase).to_have_text("For good?")
        erase.click()
        expect(page.locator("#people-note")).to_contain_text("Nobody yet")
        expect(page.locator(".person")).to_have_count(0)
        assert server.get("/gallery/people")["total"] == 0
        until_state(page, "!JSON.stringify(state.drawn.result.tracks).includes('Lovelace')", 10)


def test_pictures_that_do_not_do_are_refused_with_what_to_do(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url, viewport=PHONE) as page:
        page.get_by_role("button", name="Add by pictures").click()
        fill(page, "Ada")
        page.get_by_label("Pictures of this face").set_input_files(shared_file("media/groups/uniface_src_friends.jpg"))
        page.get_by_role("button", name="Enroll", exact=True).click()
        expect(page.locator("#enroll-error")).to_contain_text("face", timeout=PATIENCE_MS)
        save_screenshot(page, "console-enroll-refused-phone")
        assert server.get("/gallery/people")["total"] == 0
        page.get_by_label("Pictures of this face").set_input_files(
            shared_file("media/portraits/uniface_src_portrait1.jpg")
        )
        page.get_by_role("button", name="Enroll", exact=True).click()
        expect(page.locator(".person-name")).to_have_text("Ada", timeout=PATIENCE_MS)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
