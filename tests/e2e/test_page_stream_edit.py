"""Streams changed on the page and connections tried there, with a real camera that asks for a password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import PHONE, open_browser, open_page, save_screenshot, until_state
from tests.rtsp_server import GstServer, gst_server
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
SECRET = "s3cr3t"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    on_loopback = {"SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "RECORDING__MIN_FREE_BYTES": "0"}
    with serving(tmp_path_factory.mktemp("server"), settings=on_loopback) as server:
        yield server


@pytest.fixture(scope="module")
def camera() -> Iterator[GstServer]:
    with gst_server("--auth", "digest", "--password", SECRET) as camera:
        yield camera


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def step(result: Locator, name: str) -> Locator:
    return result.locator("li", has_text=name)


def add_camera(page: Page, name: str, address: str) -> Locator:
    form = page.get_by_label("Add a stream")
    form.get_by_label("Kind").select_option("rtsp")
    form.get_by_label("Address").fill(address)
    form.get_by_label("Name").fill(name)
    form.get_by_role("button", name="Add", exact=True).click()
    return page.locator(f"[data-stream={name}]")


def test_the_form_tells_what_is_wrong_before_the_camera_is_added(
    browser: Browser, server: ServerProcess, camera: GstServer
) -> None:
    with open_page(browser, server.url, color_scheme="dark") as page:
        form = page.get_by_label("Add a stream")
        expect(form.get_by_role("button", name="Test connection")).to_be_hidden()
        form.get_by_label("Kind").select_option("rtsp")
        result = page.locator("#add-trial")
        for credentials, path, failed in (
            ("admin:wrong@", "/cam", "User and password"),
            (f"admin:{SECRET}@", "/x", "Path"),
        ):
            form.get_by_label("Address").fill(camera.url(path, credentials=credentials))
            form.get_by_role("button", name="Test connection").click()
            expect(result).to_contain_text("It does not work: ")
            expect(step(result, failed)).to_have_attribute("data-outcome", "failed")
            expect(step(result, "Picture")).to_contain_text("not tried")
        save_screenshot(page, "console-trial-failed")
        form.get_by_label("Address").fill(camera.url(credentials=f"admin:{SECRET}@"))
        expect(result).to_be_hidden()
        form.get_by_role("button", name="Test connection").click()
        expect(result).to_contain_text("It works.")
        expect(step(result, "Picture")).to_contain_text("320 × 240, h264")
        result.scroll_into_view_if_needed()
        save_screenshot(page, "console-trial-works")
        assert SECRET not in page.locator("body").inner_text()


def test_a_stream_gets_another_name_without_its_password_and_is_still_watched(
    browser: Browser, server: ServerProcess, camera: GstServer
) -> None:
    with open_page(browser, server.url) as page:
        row = add_camera(page, "door", camera.url(credentials=f"admin:{SECRET}@"))
        expect(row).to_have_attribute("data-state", "live")
        row.get_by_role("button", name="Watch door").click()
        until_state(page, "state.phase === 'live' && state.drawn?.result")
        edit = row.get_by_role("button", name="Edit door")
        edit.click()
        dialog = page.get_by_role("dialog", name="Edit door")
        expect(dialog.get_by_label("Source")).to_have_value(f"rtsp://***@127.0.0.1:{camera.port}/cam")
        dialog.get_by_role("button", name="Test connection").click()
        expect(page.locator("#edit-trial")).to_contain_text("It works.")
        save_screenshot(page, "console-edit")
        dialog.get_by_label("Source").fill("rtsp://***@127.0.0.1:1/cam")
        dialog.get_by_role("button", name="Save").click()
        expect(page.locator("#edit-error")).to_contain_text("user name and password")
        dialog.get_by_label("Source").fill(f"rtsp://***@127.0.0.1:{camera.port}/cam")
        dialog.get_by_label("Name").fill("gate")
        dialog.get_by_label("Record").check()
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_be_hidden()
        row = page.locator("[data-stream=gate]")
        expect(row).to_have_attribute("data-state", "live")
        expect(row.locator(".rec")).to_be_visible()
        expect(page.locator("[data-stream=door]")).to_have_count(0)
        until_state(page, "state.name === 'gate' && state.phase === 'live' && state.drawn?.result")
        expect(row.locator(".stream-privacy")).to_be_hidden()
        row.get_by_role("button", name="Edit gate").click()
        page.get_by_role("dialog", name="Edit gate").get_by_label("Blur strangers").check()
        save_screenshot(page, "console-edit-privacy")
        page.get_by_role("dialog", name="Edit gate").get_by_role("button", name="Save").click()
        expect(row.locator(".stream-privacy")).to_be_visible()
        expect(row).to_have_attribute("data-state", "live")
        remove = row.get_by_role("button", name="Remove gate")
        remove.click()
        remove.click()
        expect(row).to_have_count(0)


def test_the_dialog_fits_a_phone_and_escape_closes_it(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, server.url, viewport=PHONE, color_scheme="dark") as page:
        row = add_camera(page, "far", "rtsp://127.0.0.1:1/live")
        row.get_by_role("button", name="Edit far").click()
        dialog = page.get_by_role("dialog", name="Edit far")
        dialog.get_by_role("button", name="Test connection").click()
        expect(step(page.locator("#edit-trial"), "Connection")).to_have_attribute("data-outcome", "failed")
        page.locator("#edit-trial").scroll_into_view_if_needed()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing to scroll sideways"
        save_screenshot(page, "console-edit-phone")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(row.get_by_role("button", name="Edit far")).to_be_focused()
