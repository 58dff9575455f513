"""Streams on the page: added, watched with boxes, explained when they are down, and removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Browser, Page, expect

from streamapp.zoo.base import FaceScreener
from tests.browser import open_browser, open_page, overlaps_with_detector, save_screenshot, state, until_state
from tests.camera_file import demo_clip
from tests.rtsp_server import gst_server
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 30 && state.drawn.result.tracks.length > 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    on_loopback = {"SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    with serving(tmp_path_factory.mktemp("server"), settings=on_loopback) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(browser, server.url) as page:
        yield page


def test_the_demo_clip_is_one_click_away(page: Page, screener: FaceScreener) -> None:
    page.get_by_role("button", name="Watch the demo clip").click()
    seen = until_state(page, f"{LIVE} && state.figures.matchedShare > 0.9")
    assert seen["name"] == "demo"
    row = page.locator("[data-stream=demo]")
    expect(row).to_have_attribute("data-state", "live")
    expect(row.get_by_role("button", name="Watching demo")).to_be_disabled()
    save_screenshot(page, "console-demo")
    overlaps = overlaps_with_detector(page, screener, looks=12)
    assert len(overlaps) >= 6
    assert median(overlaps) > 0.7


def test_a_stream_is_added_watched_and_removed(page: Page) -> None:
    page.get_by_label("Add a stream").get_by_label("Kind").select_option("demo")
    page.get_by_label("Add a stream").get_by_label("Name").fill("second")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator("[data-stream=second]")
    expect(row).to_have_attribute("data-state", "live")
    row.get_by_role("button", name="Watch second").click()
    until_state(page, f"state.name === 'second' && {LIVE}")
    remove = row.get_by_role("button", name="Remove second")
    remove.click()
    expect(row).to_be_visible()
    remove.click()
    expect(row).to_be_hidden()
    until_state(page, "state.phase === 'failed'")
    expect(page.locator("#notice-title")).to_have_text("This stream is not there")


def test_a_taken_name_and_a_bad_address_are_explained_in_the_form(page: Page) -> None:
    page.get_by_label("Add a stream").get_by_label("Kind").select_option("demo")
    page.get_by_label("Add a stream").get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[data-stream=twice]")).to_be_visible()
    page.get_by_label("Add a stream").get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#add-error")).to_contain_text("twice")
    page.get_by_label("Add a stream").get_by_label("Kind").select_option("rtsp")
    page.get_by_label("Address").fill("http://camera.test/live")
    page.get_by_label("Add a stream").get_by_label("Name").fill("web")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#add-error")).not_to_be_empty()


def test_a_camera_that_is_down_says_why_and_when_it_is_tried_again(page: Page, unused_tcp_port: int) -> None:
    page.get_by_label("Add a stream").get_by_label("Kind").select_option("rtsp")
    page.get_by_label("Address").fill(f"rtsp://user:secret@127.0.0.1:{unused_tcp_port}/live")
    page.get_by_label("Add a stream").get_by_label("Name").fill("door")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator("[data-stream=door]")
    expect(row.locator(".stream-reason")).to_contain_text("cannot be reached")
    expect(row.locator(".stream-state")).to_have_text(re.compile(r"Connecting in \d+ s, try [2-9]"))
    assert "secret" not in page.locator("body").inner_text()


def test_a_camera_that_dies_is_explained_over_the_picture_and_comes_back(page: Page) -> None:
    with gst_server("--clip", str(demo_clip())) as camera:
        page.get_by_label("Add a stream").get_by_label("Kind").select_option("rtsp")
        page.get_by_label("Address").fill(camera.url())
        page.get_by_label("Add a stream").get_by_label("Name").fill("gate")
        page.get_by_role("button", name="Add", exact=True).click()
        row = page.locator("[data-stream=gate]")
        expect(row).to_have_attribute("data-state", "live")
        row.get_by_role("button", name="Watch gate").click()
        until_state(page, f"state.name === 'gate' && {LIVE} && state.figures.matchedShare > 0.9")
        camera.kill()
        expect(row).to_have_attribute("data-state", "reconnecting")
        expect(page.locator("#situation")).to_contain_text("Reconnecting")
        expect(row.locator(".stream-reason")).not_to_be_empty()
        save_screenshot(page, "console-camera-down")
        frame = state(page)["figures"]["frame"]
        camera.start()
        expect(row).to_have_attribute("data-state", "live", timeout=15_000)
        until_state(page, f"state.figures.frame > {frame} + 10 && {LIVE}")
        expect(page.locator("#situation")).to_be_hidden()
