"""The depth chosen on the page: what the models say of a face is drawn with it, and a missing model is explained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import open_page, save_screenshot, state, until_state
from tests.server_process import ServerProcess, serving
from tests.weights import SHORT_RANGE, models_folder, weights_of

pytestmark = [pytest.mark.e2e, pytest.mark.weights]
ANALYSED = "state.drawn.result?.tracks.some((track) => track.analyses.liveness && track.analyses.gender_age)"


@pytest.fixture(scope="module")
def deep_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every model there is."""
    folder = models_folder(tmp_path_factory.mktemp("models"))
    with serving(tmp_path_factory.mktemp("server"), settings={"MODELS__DIR": str(folder)}) as server:
        yield server


@pytest.fixture(scope="module")
def shallow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that can only screen."""
    folder = tmp_path_factory.mktemp("screener")
    variant, path = weights_of(*SHORT_RANGE)
    (folder / variant.file).symlink_to(path.resolve())
    with serving(tmp_path_factory.mktemp("server"), settings={"MODELS__DIR": str(folder)}) as server:
        yield server


def start_camera(page: Page, depth: str) -> None:
    page.get_by_label("Camera").get_by_label("Depth").select_option(depth)
    page.get_by_role("button", name="Start camera").click()


@pytest.mark.media
def test_a_face_of_the_camera_is_analysed_while_the_picture_goes_on(
    camera_browser: Browser, deep_server: ServerProcess
) -> None:
    with open_page(camera_browser, deep_server.url) as page:
        start_camera(page, "full")
        seen = until_state(page, f"state.phase === 'live' && {ANALYSED}", 40)
        result = seen["drawn"]["result"]
        assert result["mode"] == "full"
        track = next(track for track in result["tracks"] if "liveness" in track["analyses"])
        assert track["analyses"]["liveness"]["model"]
        assert track["analyses"]["liveness"]["reason"]
        assert track["analyses"]["identity"]["because"] == "nobody_enrolled"
        assert track["skipped"] == {"deepfake": "model_missing"}
        before = state(page)["figures"]["fpsOut"]
        until_state(page, "state.figures.latencySamples > 100", 30)
        assert before > 0
        assert deep_server.get("/streams")[0]["keyframes"]["new_track"] >= 1
        save_screenshot(page, "console-full")


def test_what_is_not_installed_is_named_on_the_page(camera_browser: Browser, shallow_server: ServerProcess) -> None:
    with open_page(camera_browser, shallow_server.url) as page:
        page.get_by_label("Add a stream").get_by_label("Depth").select_option("standard")
        page.get_by_role("button", name="Add", exact=True).click()
        row = page.locator("[data-stream=demo]")
        expect(row).to_have_attribute("data-state", "failed")
        expect(row).to_contain_text("streamapp models pull")
