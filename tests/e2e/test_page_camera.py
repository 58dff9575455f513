"""The page with a camera, end to end: a real browser, a recorded face, the real server in its own process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Browser, Page, expect

from streamapp.zoo.base import FaceScreener
from tests.browser import open_page, overlaps_with_detector, save_screenshot, state, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 60"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def live(camera_browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A page with its camera on and results coming in."""
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        yield page


def test_boxes_are_drawn_on_the_picture_they_belong_to(live: Page, screener: FaceScreener) -> None:
    """Each picture looked at is searched again, by the detector itself: its face must be where the box was drawn."""
    overlaps = overlaps_with_detector(live, screener, looks=12)
    assert len(overlaps) >= 8
    assert median(overlaps) > 0.85
    assert min(overlaps) > 0.6


def test_nearly_every_result_is_drawn_on_its_own_frame(live: Page) -> None:
    figures = state(live)["figures"]
    assert figures["matchedShare"] > 0.9
    assert abs(state(live)["clockCorrectionMs"]) < 10


def test_results_come_as_fast_as_the_camera_and_in_order(live: Page) -> None:
    frames = [until_state(live, LIVE)["figures"]["frame"]]
    for _ in range(5):
        live.wait_for_timeout(200)
        frames.append(state(live)["figures"]["frame"])
    assert frames == sorted(set(frames))
    figures = state(live)["figures"]
    assert figures["fpsIn"] > 20
    assert figures["fpsOut"] > 0.75 * figures["fpsIn"]


def test_the_delay_is_bounded_and_counts_every_sample(live: Page) -> None:
    figures = state(live)["figures"]
    assert 0 < figures["latencyP50Ms"] <= figures["latencyP95Ms"] < 400
    assert figures["latencySamples"] > 60


def test_the_figures_are_shown(live: Page) -> None:
    for name in ("latency-p50", "latency-p95", "fps-in", "fps-out", "tracks", "matched", "dropped"):
        expect(live.locator(f"#{name}")).to_have_text(re.compile(r"^\d"))
    expect(live.locator("#size")).to_have_text("640 × 480")
    expect(live.locator("#connection")).to_have_text("Live")
    save_screenshot(live, "console-desktop-light")
    live.emulate_media(color_scheme="dark")
    save_screenshot(live, "console-desktop-dark")
    live.emulate_media(color_scheme="light")
    live.get_by_text("Where time and frames go").click()
    assert live.locator("#timing li").count() >= 2


def test_the_server_can_draw_instead(live: Page) -> None:
    live.get_by_role("switch", name="Drawn by the server").check()
    until_state(live, LIVE)
    returned = live.locator("#returned")
    expect(returned).to_be_visible()
    live.wait_for_function("() => document.getElementById('returned').videoWidth === 640")
    first = returned.evaluate("video => video.getVideoPlaybackQuality().totalVideoFrames")
    live.wait_for_function(
        f"() => document.getElementById('returned').getVideoPlaybackQuality().totalVideoFrames > {first + 15}"
    )
    live.get_by_role("switch", name="Drawn by the server").uncheck()
    until_state(live, LIVE)
    expect(returned).to_be_hidden()
