"""The demo page by the same rules, Gradio's own parts included."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import httpx
import pytest
from playwright.sync_api import Browser, Page

from streamapp.assets import asset
from tests.accessibility import assert_accessible
from tests.browser import open_page
from tests.e2e.test_demo_page import choose, open_tab
from tests.server_process import ServerProcess, serving
from tests.weights import models_folder, need_full_mode

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.media,
    pytest.mark.weights,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is absent (pip install 'streamapp[demo]')"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    models = models_folder(tmp_path_factory.mktemp("models"))
    settings = {"MODELS__DIR": str(models), "DEMO__MAX_CLIP_S": "2"}
    with serving(tmp_path_factory.mktemp("served"), settings=settings) as running:
        assert httpx.get(f"{running.url}/demo/", timeout=60).status_code == 200  # the first visit loads Gradio
        yield running


@pytest.fixture
def page(camera_browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(camera_browser, f"{server.url}/demo") as page:
        page.wait_for_selector("#demo-webcam")
        yield page


def test_the_webcam_tab(page: Page) -> None:
    assert_accessible(page)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#demo-webcam[data-phase=live]")
    assert_accessible(page)


def test_a_picture_and_what_was_found_in_it(page: Page) -> None:
    need_full_mode()
    open_tab(page, "Image")
    page.get_by_role("button", name="Two faces").click()
    page.get_by_role("radio", name="Full: liveness, age, identity").check()
    page.get_by_role("button", name="Find faces").click()
    page.locator("#picture-painted img").wait_for(timeout=120_000)
    assert_accessible(page)


def test_a_clip_and_what_is_to_be_saved(page: Page) -> None:
    open_tab(page, "Video")
    choose(page, "clip-picker", asset("recordings/demo.mp4"))
    page.get_by_role("button", name="Analyse").click()
    page.locator("#clip-result video").wait_for(timeout=60_000)
    assert_accessible(page)


def test_the_plan(page: Page) -> None:
    open_tab(page, "Plan")
    page.get_by_role("button", name="Show the plan").click()
    page.locator("#plan-table table").wait_for()
    assert_accessible(page)
