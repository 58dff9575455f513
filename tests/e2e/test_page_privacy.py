"""Privacy mode as people see it: not one picture on the page shows a face of somebody who is not enrolled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from streamapp.zoo.base import FaceScreener
from tests.browser import PHONE, decode_picture, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
SAMPLES = 60
SURE = 0.75
"""Of a face that is there the detector is surer, of a box around a blurred one it is not."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def private_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("private"), settings={"PRIVACY__BLUR_UNKNOWN": "true"}) as server:
        yield server


def sample(page: Page, selector: str, active: str = "#stage[data-active]") -> None:
    """Keeps what a canvas or video shows, picture by picture, from when `active` is there."""
    page.evaluate(
        """([selector, active, count]) => {
          const shown = document.querySelector(selector);
          const copy = document.createElement("canvas");
          window.samples = [];
          const keep = () => {
            const [width, height] = [shown.videoWidth ?? shown.width, shown.videoHeight ?? shown.height];
            if (width > 10 && document.querySelector(active)) {
              Object.assign(copy, { width, height });
              copy.getContext("2d").drawImage(shown, 0, 0);
              samples.push(copy.toDataURL("image/jpeg", 0.9));
            }
            if (samples.length < count) requestAnimationFrame(keep);
          };
          requestAnimationFrame(keep);
        }""",
        [selector, active, SAMPLES],
    )


def with_faces(page: Page, screener: FaceScreener) -> int:
    """In how many of the samples a detector finds a face."""
    page.wait_for_function(f"() => samples.length >= {SAMPLES}", timeout=30_000)
    pictures = [decode_picture(sample) for sample in page.evaluate("samples")]
    return sum(bool((screener.screen(picture, 0.0).scores > SURE).any()) for picture in pictures)


def start_camera(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()


def test_a_camera_of_ones_own_is_blurred_from_the_first_picture_on_and_for_those_who_watch(
    camera_browser: Browser, server: ServerProcess, screener: FaceScreener
) -> None:
    with open_page(camera_browser, server.url) as page:
        expect(page.locator("#privacy")).to_be_hidden()
        page.get_by_label("Camera").get_by_role("switch", name="Blur strangers").check()
        sample(page, "#picture")
        start_camera(page)
        until_state(page, "state.isPrivate && state.drawn?.matched && state.drawn.result.tracks.length > 0")
        expect(page.locator("#privacy")).to_be_visible()
        assert with_faces(page, screener) == 0
        sample(page, "#picture")
        assert with_faces(page, screener) == 0
        save_screenshot(page, "privacy-camera")
        (name,) = [stream["name"] for stream in server.get("/streams")]
        expect(page.locator(f"[data-stream={name}]")).to_contain_text("Faces blurred")
        with open_page(camera_browser, server.url, color_scheme="dark", viewport=PHONE) as viewer:
            viewer.get_by_role("button", name=f"Watch {name}").click()
            until_state(viewer, "state.phase === 'live' && state.drawn?.result?.tracks.length > 0")
            expect(viewer.locator("#privacy")).to_be_visible()
            sample(viewer, "#picture")
            assert with_faces(viewer, screener) == 0
            save_screenshot(viewer, "privacy-watched-phone")
        page.get_by_role("switch", name="Drawn by the server").check()
        page.wait_for_function("() => document.getElementById('returned').videoWidth === 640")
        sample(page, "#returned")
        assert with_faces(page, screener) == 0


def test_without_it_the_face_is_there(camera_browser: Browser, server: ServerProcess, screener: FaceScreener) -> None:
    with open_page(camera_browser, server.url) as page:
        start_camera(page)
        until_state(page, "!state.isPrivate && state.drawn?.matched && state.drawn.result.tracks.length > 0")
        expect(page.locator("#privacy")).to_be_hidden()
        sample(page, "#picture")
        assert with_faces(page, screener) > 0.8 * SAMPLES


def test_where_the_server_blurs_there_is_no_choice(
    camera_browser: Browser, private_server: ServerProcess, screener: FaceScreener
) -> None:
    with open_page(camera_browser, private_server.url) as page:
        for switch in page.get_by_role("switch", name="Blur strangers").all():
            expect(switch).to_be_checked()
            expect(switch).to_be_disabled()
        sample(page, "#picture")
        start_camera(page)
        until_state(page, "state.isPrivate && state.drawn?.matched")
        assert with_faces(page, screener) == 0
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Watch the demo clip").click()
        until_state(page, "state.phase === 'live' && state.drawn?.result?.tracks.length > 0")
        page.get_by_role("button", name="Record demo", exact=True).click()
        sample(page, "#picture")
        assert with_faces(page, screener) == 0
        save_screenshot(page, "privacy-demo")
        page.get_by_role("button", name="Stop recording demo").click()
        expect(page.locator(".recording-state")).to_contain_text("cannot be analysed again")


def test_a_stream_is_added_as_a_private_one(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        form = page.get_by_label("Add a stream")
        form.get_by_label("Name").fill("hall")
        form.get_by_role("switch", name="Blur strangers").check()
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("[data-stream=hall]")).to_contain_text("Faces blurred")
        assert server.get("/streams/hall")["privacy"] is True
        save_screenshot(page, "privacy-added")


def test_the_demo_page_blurs_its_camera_too(
    camera_browser: Browser, private_server: ServerProcess, screener: FaceScreener
) -> None:
    with open_page(camera_browser, f"{private_server.url}/demo/") as page:
        tab = page.locator("#demo-webcam")
        tab.get_by_role("button", name="Start camera").wait_for()
        sample(page, "#demo-webcam canvas", "#demo-webcam[data-phase=live], #demo-webcam[data-phase=connecting]")
        tab.get_by_role("button", name="Start camera").click()
        expect(tab.locator("[data-part=faces]")).to_have_text("1", timeout=20_000)
        assert with_faces(page, screener) == 0
        sample(page, "#demo-webcam canvas", "#demo-webcam[data-phase=live]")
        assert with_faces(page, screener) == 0
        save_screenshot(page, "privacy-demo-page")
