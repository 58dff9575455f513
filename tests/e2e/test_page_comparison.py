"""Under the player: a recording decided again, and what differs, picture by picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings with one of the demo clip."""
    folder = tmp_path_factory.mktemp("kept")
    with serving(tmp_path_factory.mktemp("server"), settings={"RECORDING__DIR": str(folder)}) as server:
        record(server, 3.0)
    return folder


def record(server: ServerProcess, seconds: float) -> dict[str, Any]:
    with httpx.Client(base_url=server.url, timeout=20) as http:
        http.post("/streams", json={"name": "door", "source": "demo", "record": True}).raise_for_status()
        deadline_s = time.monotonic() + 30
        while http.get("/streams/door").json()["recording"]["seconds"] < seconds:
            assert time.monotonic() < deadline_s, "nothing is being recorded"
            time.sleep(0.05)
        entry: dict[str, Any] = http.delete("/streams/door/recording").raise_for_status().json()
    return entry


def compare(page: Page) -> None:
    page.get_by_role("button", name="Play door").click()
    until_state(page, "state.player?.result")
    page.get_by_role("button", name="Compare with today").click()


def test_the_same_app_decides_the_same(
    browser: Browser, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"RECORDING__DIR": str(folder)}
    with serving(tmp_path_factory.mktemp("same"), settings=settings) as server, open_page(browser, server.url) as page:
        compare(page)
        expect(page.locator(".comparison-summary")).to_contain_text("No decision differs", timeout=PATIENCE_MS)
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Play door").click()
        expect(page.locator(".comparison-summary")).to_contain_text("No decision differs")  # it is still known


def test_what_differs_is_shown_and_each_row_seeks_to_its_picture(
    browser: Browser, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"RECORDING__DIR": str(folder), "PIPELINE__CONFIRM_HITS": "12"}
    with serving(tmp_path_factory.mktemp("other"), settings=settings) as server:
        with open_page(browser, server.url) as page:
            compare(page)
            expect(page.locator(".comparison-summary")).to_contain_text("differences in", timeout=PATIENCE_MS)
            expect(page.locator(".comparison-warnings")).to_contain_text("setting pipeline.confirm_hits 2, now 12")
            (recording,) = server.get("/recordings")["recordings"]
            report = server.get(f"/recordings/{recording['id']}/replay")
            rows = page.locator(".comparison-table tbody tr")
            expect(rows).to_have_count(min(200, len(report["differences"])))
            last = report["differences"][min(200, len(report["differences"])) - 1]
            rows.last.get_by_role("button").click()
            shown = until_state(page, f"state.player?.result?.frame === {last['frame']}")
            assert shown["player"]["paused"]
            save_screenshot(page, "recording-comparison")
        with open_page(browser, server.url, viewport=PHONE, color_scheme="dark") as page:
            page.get_by_role("button", name="Play door").click()
            expect(page.locator(".comparison-table tbody tr").first).to_be_visible()
            assert page.evaluate("document.querySelector('#player').scrollWidth <= innerWidth")
            page.locator(".comparison-summary").scroll_into_view_if_needed()
            save_screenshot(page, "recording-comparison-phone")


def test_it_is_stopped(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"RECORDING__DIR": str(tmp_path_factory.mktemp("long"))}
    with serving(tmp_path_factory.mktemp("server"), settings=settings, slow_ms=100) as server:
        entry = record(server, 4.0)
        with open_page(browser, server.url) as page:
            compare(page)
            expect(page.get_by_role("progressbar")).to_be_visible()
            expect(page.locator(".comparison-count")).to_contain_text(f"of {entry['results']} pictures")
            save_screenshot(page, "recording-comparison-on")
            page.get_by_role("button", name="Stop", exact=True).last.click()
            expect(page.get_by_role("button", name="Compare with today")).to_be_visible()
        assert httpx.get(f"{server.url}/recordings/{entry['id']}/replay").status_code == 404
