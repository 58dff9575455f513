"""The page of the people: who is here, who was here and not known; enrolled and said not to be somebody from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot
from tests.server_process import ServerProcess, serving
from tests.shared_data import shared_file
from tests.waiting import until_sync
from tests.weights import models_folder

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.media]
PATIENCE_MS = 60_000
CLIP = "media/videos/liveportrait_driving_d9.mp4"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every model there is, nobody enrolled, and a clip that may be opened."""
    settings = {
        "MODELS__DIR": str(models_folder(tmp_path_factory.mktemp("models"))),
        "SERVER__MEDIA_DIRS": f'["{shared_file(CLIP).parent}"]',
        "GALLERY__IDENTIFY_SPOOFS": "true",
        "EVENTS__GONE_S": "0.5",
    }
    with serving(tmp_path_factory.mktemp("server"), settings=settings) as server:
        yield server


def add_clip(server: ServerProcess, name: str) -> None:
    added = {"name": name, "source": f"file:{Path(CLIP).name}", "mode": "full"}
    httpx.post(f"{server.url}/streams", json=added, timeout=10).raise_for_status()


def left(server: ServerProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/events?kind=left&identity=unknown&identity=undecided")["events"]
    return found


def enroll(page: Page, name: str) -> None:
    page.locator(".face").get_by_role("button", name="Enroll face").first.click(timeout=PATIENCE_MS)
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Who agreed to it").fill("herself, in writing")
    dialog.get_by_label("To which text").fill("faces-2026-01")
    dialog.get_by_label("Even if it looks like a photo").check()
    dialog.get_by_role("button", name="Enroll", exact=True).click()


@pytest.mark.timeout(240)
def test_an_unknown_face_is_enrolled_from_the_review_and_said_not_to_be_her(
    browser: Browser, server: ServerProcess
) -> None:
    with open_page(browser, f"{server.url}/people.html") as page:
        expect(page.locator("#here-empty")).to_contain_text("No stream is running")
        add_clip(server, "door")
        card = page.locator(".place[aria-label=door] .face").first
        expect(card.locator(".face-name")).to_have_text("Unknown", timeout=PATIENCE_MS)
        picture = card.get_by_role("img", name="as it is now")
        expect(picture).to_be_visible(timeout=PATIENCE_MS)
        grey = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
        assert np.std(picture.evaluate(grey)) > 20, "there is something in the picture"
        expect(card).to_contain_text("Here since", timeout=PATIENCE_MS)
        card.get_by_role("button", name="Why is face").click()
        expect(page.get_by_role("dialog")).to_contain_text("nobody is enrolled")
        page.keyboard.press("Escape")
        enroll(page, "Ada Lovelace")
        expect(page.locator(".person-name")).to_have_text("Ada Lovelace", timeout=PATIENCE_MS)
        expect(page.locator(".face[data-identity=identified] .face-name").first).to_have_text(
            "Ada Lovelace", timeout=PATIENCE_MS
        )
        save_screenshot(page, "console-people")
        page.get_by_role("button", name="Not Ada Lovelace").first.click()
        expect(page.locator(".face[data-identity=identified]")).to_have_count(0, timeout=PATIENCE_MS)


@pytest.mark.timeout(240)
def test_visits_of_unknown_people_are_listed_without_pictures(browser: Browser, server: ServerProcess) -> None:
    add_clip(server, "door")
    with open_page(browser, f"{server.url}/people.html", viewport=PHONE, color_scheme="dark") as page:
        expect(page.locator(".face .face-name").first).to_have_text("Unknown", timeout=PATIENCE_MS)
        httpx.delete(f"{server.url}/streams/door", timeout=20).raise_for_status()
        until_sync(lambda: bool(left(server)), 20)
        (visit,) = [one for one in left(server) if one["identity"] == "unknown"]
        page.get_by_role("button", name="Show", exact=True).click()
        rows = page.locator("#past tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("door")
        expect(rows).to_contain_text(f"{round(visit['duration_s'])} s")
        expect(page.locator("#past img, #past canvas")).to_have_count(0)
        expect(page.locator(".face")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#past").scroll_into_view_if_needed()
        save_screenshot(page, "console-people-phone")
        page.get_by_label("Stream", exact=True).fill("elsewhere")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("#past")).to_contain_text("Nobody")


def test_without_events_the_page_says_so(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("server"), settings={"EVENTS__ENABLED": "false"}) as server:
        add = {"name": "demo", "source": "demo"}
        httpx.post(f"{server.url}/streams", json=add, timeout=10).raise_for_status()
        with open_page(browser, f"{server.url}/people.html") as page:
            expect(page.locator("#past-error")).to_contain_text("events.enabled")
            expect(page.locator("#here-empty")).to_contain_text("No stream compares faces")
