"""A camera with a large and busy picture: what is sent is as large as chosen, and as smooth as the camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import open_browser, open_page, until_state
from tests.camera_file import street_clip, write_camera
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    camera: Path = tmp_path_factory.mktemp("camera") / "street.mjpeg"
    with open_browser(camera=write_camera(street_clip(), camera, width=1280, height=720, s=4)) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_another_resolution_keeps_the_connection_and_arrives_whole(browser: Browser, server: ServerProcess) -> None:
    with open_page(browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        small = until_state(page, "state.figures.analysedWidth === 640 && state.figures.latencySamples > 30")
        page.get_by_label("Resolution").select_option("1280x720")
        large = until_state(page, "state.figures.analysedWidth === 1280 && state.figures.latencySamples > 30")
        assert large["figures"]["analysedHeight"] == large["figures"]["height"] == 720
        assert large["drawn"]["result"]["stream"] == small["drawn"]["result"]["stream"]
        page.get_by_label("Resolution").select_option("640x480")
        until_state(page, "state.phase === 'live' && state.figures.analysedWidth === 640")


def test_a_busy_picture_is_not_starved_of_bits(browser: Browser, server: ServerProcess) -> None:
    """The sender is allowed what it needs from the first second on; left to aiortc it ends at 4 pictures a second."""
    with open_page(browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, "state.phase === 'live' && state.figures.latencySamples > 10")
        page.wait_for_timeout(6000)
        figures = page.evaluate("streamapp.state.figures")
        assert figures["fpsOut"] > 0.6 * figures["fpsIn"]
