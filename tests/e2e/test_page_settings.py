"""The page of the settings: what is in force, what this machine is, and lines for the file that are checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot
from tests.server_process import ServerProcess, serving
from tests.weights import SHORT_RANGE, weights_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with nothing but the screening net."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "streamapp.toml").write_text("[server]\nmax_streams = 3\n[pipeline]\nmax_coast_s = 0.9\n")
    variant, path = weights_of(*SHORT_RANGE)
    models = tmp_path_factory.mktemp("models")
    (models / variant.file).symlink_to(path)
    given = {"PIPELINE__MAX_COAST_S": "0.8", "MODELS__MIRROR": "http://user:hunter2@mirror.lan/models"}
    given["MODELS__DIR"] = str(models)
    with serving(folder, settings=given) as server:
        yield server


def setting(page: Page, name: str) -> Locator:
    return page.locator(f"[data-setting='{name}']")


def test_every_setting_is_shown_with_where_it_comes_from_and_found(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/settings.html") as page:
        count = len(server.get("/settings")["settings"])
        expect(page.locator("#found")).to_have_text(f"{count} of {count} settings")
        expect(setting(page, "server.max_streams")).to_contain_text("file")
        expect(setting(page, "server.max_streams")).to_contain_text("default: 16")
        expect(setting(page, "pipeline.max_coast_s")).to_contain_text("environment")
        expect(setting(page, "pipeline.max_coast_s")).to_contain_text("0.8 seconds")
        expect(setting(page, "server.port")).to_contain_text("command line")
        expect(page.locator("body")).not_to_contain_text("hunter2")
        page.evaluate("scrollTo(0, 0)")
        save_screenshot(page, "console-settings")
        page.get_by_label("Search").fill("memory budget")
        expect(setting(page, "scheduler.budget_mb")).to_be_visible()
        expect(setting(page, "server.port")).to_be_hidden()
        page.get_by_label("Search").fill("")
        page.get_by_label("Only what is not the default").check()
        expect(setting(page, "server.max_streams")).to_be_visible()
        expect(setting(page, "server.max_body_bytes")).to_be_hidden()


def test_lines_are_checked_and_nothing_is_written(browser: Browser, server: ServerProcess, tmp_path: Path) -> None:
    before = server.get("/settings")
    file = Path(before["file"])
    text = file.read_text()
    with open_page(browser, f"{server.url}/settings.html") as page:
        setting(page, "server.max_streams").get_by_role("button").click()
        expect(page.get_by_label("Lines for the settings file")).to_have_value("[server]\nmax_streams = 3")
        page.get_by_label("Lines for the settings file").fill("[server]\nmax_streams = 0")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#trial-answer")).to_contain_text("Server.max_streams: Input should be greater than")
        page.get_by_label("Lines for the settings file").fill("[server]\nmax_streams = 5\n[pipeline]\nmax_coast_s = 2")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#trial-answer")).to_contain_text("at the next start")
        expect(page.locator("#trial-answer")).to_contain_text("no effect: the environment is stronger")
        page.locator("#trial-answer").scroll_into_view_if_needed()
        save_screenshot(page, "console-settings-check")
    assert server.get("/settings") == before
    assert file.read_text() == text


def test_the_machine_is_told_in_truth_with_licences(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, f"{server.url}/settings.html", viewport=PHONE, color_scheme="dark") as page:
        expect(page.locator("#machine-device")).to_contain_text("No model runs on a GPU")
        expect(page.locator("#systems")).to_contain_text("cpu (litert)")
        expect(page.locator("#systems")).to_contain_text("Apache-2.0")
        page.get_by_text("things looked at are well").click()
        expect(page.locator("#fine")).to_contain_text("python")
        expect(page.locator("#checks")).to_contain_text("streamapp models pull")
        page.get_by_text("Every model the app knows").click()
        expect(page.locator("#models")).to_contain_text("GPL-3.0")
        expect(page.locator("#models")).to_contain_text("streamapp models pull adaface")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.evaluate("scrollTo(0, 0)")
        save_screenshot(page, "console-settings-phone")
        setting(page, "server.port").scroll_into_view_if_needed()
        save_screenshot(page, "console-settings-phone-list")
