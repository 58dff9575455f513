"""The page of the memory: it shows what the server says, and plans another budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync
from tests.weights import models_folder

pytestmark = [pytest.mark.e2e, pytest.mark.weights]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server at work on the demo clip with every model there is."""
    folder = models_folder(tmp_path_factory.mktemp("models"))
    with serving(tmp_path_factory.mktemp("server"), settings={"MODELS__DIR": str(folder)}) as server:
        added = {"name": "demo", "source": "demo", "mode": "full"}
        httpx.post(f"{server.url}/streams", json=added, timeout=10).raise_for_status()
        until_sync(lambda: len(memory(server)["resident"]) >= 3, 60)
        yield server


def memory(server: ServerProcess) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/status")["memory"]
    return found


def test_every_loaded_model_is_shown_with_its_size_and_what_runs_it(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/memory.html") as page:
        expect(page.locator("#on-gpu")).to_contain_text("no GPU is in use")
        for model in memory(server)["resident"]:
            row = page.locator("#resident tr", has=page.get_by_role("cell", name=model["variant"], exact=True))
            expect(row).to_contain_text(model["licence"])
            expect(row).to_contain_text(model["provider"])
            expect(row).to_contain_text("measured" if model["measured"] else "estimated")
        expect(page.locator("#legend")).to_contain_text("unaccounted")
        expect(page.locator("#jobs")).to_contain_text("lanes")
        expect(page.locator("#operations tr").nth(1)).to_be_visible()
        page.wait_for_timeout(2500)  # so that there is something on the chart of the screenshot
        drawn = page.evaluate("""() => {
            const canvas = document.querySelector('#history');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.some(Boolean);
        }""")
        assert drawn
        page.get_by_role("button", name="Plan").click()
        expect(page.locator("#plan-sum")).to_contain_text("6084 of 6000 MB")
        page.evaluate("scrollTo(0, 0)")
        save_screenshot(page, "console-memory")


def test_a_plan_for_a_small_budget_says_what_swaps_and_a_wrong_one_what_is_wrong(
    browser: Browser, server: ServerProcess
) -> None:
    with open_page(browser, f"{server.url}/memory.html", viewport=PHONE, color_scheme="dark") as page:
        page.get_by_label("Budget").fill("1200")
        page.get_by_label("Profile").select_option("full")
        page.get_by_role("button", name="Plan").click()
        expect(page.locator("#plan")).to_contain_text("swaps")
        expected = server.get("/plan?budget_mb=1200&profile=full")
        fates = [placement["fate"] for placement in expected["plan"]["placements"]]
        expect(page.locator("#plan tbody tr")).to_have_count(len(fates))
        page.get_by_label("Budget").fill("20")
        page.get_by_role("button", name="Plan").click()
        expect(page.locator("#plan-sum")).to_contain_text("cannot run")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        save_screenshot(page, "console-memory-phone")


def test_a_server_that_is_gone_is_said_so(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("server")) as server, open_page(browser, f"{server.url}/memory.html") as page:
        expect(page.locator("#device")).to_contain_text("MB")
        server.kill()
        expect(page.locator("#health-text")).to_have_text("The server does not answer")
