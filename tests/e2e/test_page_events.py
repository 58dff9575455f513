"""The timeline: what happens appears by itself, and the past is searched."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def add_demo(server: ServerProcess, name: str) -> None:
    httpx.post(f"{server.url}/streams", json={"name": name, "source": "demo"}, timeout=10).raise_for_status()


def test_what_happens_comes_by_itself_and_is_found_again(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/events.html") as page:
        expect(page.locator("#connection-text")).to_have_text("Live")
        expect(page.locator("#none")).to_be_visible()
        add_demo(server, "door")
        appeared = page.locator(".event[data-kind=appeared]")
        expect(appeared.first).to_contain_text("appeared on door", timeout=PATIENCE_MS)
        expect(page.locator("#none")).to_be_hidden()
        httpx.delete(f"{server.url}/streams/door", timeout=10).raise_for_status()
        left = page.locator(".event[data-kind=left]")
        expect(left.first).to_contain_text("left door", timeout=PATIENCE_MS)
        count = page.locator(".event").count()
        save_screenshot(page, "console-events")
        page.reload()
        expect(page.locator(".event")).to_have_count(count)
        page.get_by_label("Kind").select_option("left")
        page.get_by_role("button", name="Search").click()
        expect(appeared).to_have_count(0)
        expect(left.first).to_be_visible()
        page.get_by_label("Stream", exact=True).fill("elsewhere")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#none")).to_be_visible()


def test_it_fits_on_a_phone_and_says_when_the_server_is_gone(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/events.html", viewport=PHONE, color_scheme="dark") as page:
        add_demo(server, "door")
        expect(page.locator(".event").first).to_be_visible(timeout=PATIENCE_MS)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        save_screenshot(page, "console-events-phone")
        server.kill()
        expect(page.locator("#connection-text")).to_have_text("Reconnecting", timeout=PATIENCE_MS)
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#error")).to_contain_text("does not answer")
