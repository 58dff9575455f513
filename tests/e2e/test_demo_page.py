"""The demo page in a browser: every tab at work with real weights, on a desk and on a phone, talking to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import av
import httpx
import pytest
from playwright.sync_api import Browser, Page, Request

from streamapp.assets import asset
from tests.browser import DESKTOP, PHONE, open_page, save_screenshot
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync
from tests.weights import models_folder

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.media,
    pytest.mark.weights,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is absent (pip install 'streamapp[demo]')"),
]
FULL = "Full: liveness, age, identity"


@contextmanager
def demo_server(folder: Path, max_clip_s: int) -> Iterator[ServerProcess]:
    weights = folder / "models"
    weights.mkdir()
    settings = {"MODELS__DIR": str(models_folder(weights)), "DEMO__MAX_CLIP_S": str(max_clip_s)}
    with serving(folder, settings=settings) as running:
        assert httpx.get(f"{running.url}/demo/", timeout=60).status_code == 200  # the first visit loads Gradio
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with demo_server(tmp_path_factory.mktemp("served"), 5) as running:
        yield running


@pytest.fixture(scope="module")
def patient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Analyses more of a clip than a test waits for."""
    with demo_server(tmp_path_factory.mktemp("patient"), 60) as running:
        yield running


@contextmanager
def demo(browser: Browser, server: ServerProcess, **context: object) -> Iterator[Page]:
    """The page, once its first tab is there. Nothing may be asked of anybody else, and no script may fail."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((f"{server.url}/", "data:", f"blob:{server.url}/")):
            asked.append(request.url)

    with open_page(browser, server.url, **context) as page:
        page.context.on("request", note)
        page.goto(f"{server.url}/demo")
        page.wait_for_selector("#demo-webcam")
        yield page
    assert asked == []


def open_tab(page: Page, name: str) -> None:
    """Tabs that do not fit a narrow page are in a menu."""
    tab = page.get_by_role("tab", name=name)
    if tab.count():
        tab.click()
        return
    page.get_by_role("button", name="More tabs").click()
    page.locator(".overflow-dropdown button", has_text=name).click()


def choose(page: Page, picker: str, path: Path) -> None:
    """Hands a file in and waits until the server has it."""
    page.set_input_files(f"#{picker} input[type=file]", path)
    page.wait_for_function(
        "id => document.querySelector(`#${id} [data-status]`).textContent.startsWith('Ready')", arg=picker
    )


def clip_streams(server: ServerProcess) -> list[str]:
    names: list[str] = [stream["name"] for stream in server.get("/streams")]
    return [name for name in names if name.startswith("demo-clip-")]


def test_the_webcam_tab_draws_faces_over_our_own_endpoint(camera_browser: Browser, server: ServerProcess) -> None:
    with demo(camera_browser, server) as page:
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector("#demo-webcam[data-phase=live]")
        page.wait_for_function("document.querySelector('#demo-webcam [data-part=faces]').textContent === '1'")
        save_screenshot(page, "demo-webcam")
        page.get_by_role("button", name="Stop", exact=True).first.click()
        page.wait_for_selector("#demo-webcam[data-phase=idle]")
        until_sync(lambda: not server.get("/streams"))


@pytest.mark.parametrize("mode", ["Fast: near faces", "Standard: far faces too", "Precision: refined points", FULL])
def test_an_example_is_examined_in_every_mode(camera_browser: Browser, server: ServerProcess, mode: str) -> None:
    with demo(camera_browser, server) as page:
        open_tab(page, "Image")
        page.get_by_role("button", name="Two faces").click()
        page.get_by_role("radio", name=mode).check()
        page.get_by_role("button", name="Find faces").click()
        picture = page.locator("#picture-painted img")
        picture.wait_for(timeout=120_000)
        page.wait_for_function("document.querySelector('#picture-painted img').naturalWidth === 640")
        assert page.locator("#picture-faces tbody tr").count() == 2
        used = page.locator("#picture-models").inner_text()
        assert "licence" in used
        assert "blazeface" in used
        page.get_by_role("button", name="As JSON").click()
        page.wait_for_function("document.querySelector('#picture-json')?.innerText.includes('\"faces\"')")
        if mode == FULL:
            assert "live" in page.locator("#picture-faces").inner_text()
            save_screenshot(page, "demo-image")


def test_a_picture_and_the_webcam_can_be_handed_in(
    camera_browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    with demo(camera_browser, server) as page:
        open_tab(page, "Image")
        page.get_by_role("button", name="Find faces").click()
        page.locator("#picture-painted [role=alert]", has_text="Choose a picture first").wait_for()
        choose(page, "picture-picker", tmp_path / "broken.jpg")
        page.get_by_role("button", name="Find faces").click()
        page.locator("#picture-painted [role=alert]", has_text="cut off or broken").wait_for()
        page.get_by_role("button", name="Use the webcam").click()
        page.wait_for_function("document.querySelector('.demo-snapshot video').videoWidth > 0")
        page.get_by_role("button", name="Take the picture").click()
        page.wait_for_function(
            "document.querySelector('#picture-picker [data-status]').textContent.startsWith('Ready')"
        )
        page.get_by_role("button", name="Find faces").click()
        page.locator("#picture-painted img").wait_for()
        assert page.locator("#picture-faces tbody tr").count() == 1


def test_a_clip_is_analysed_with_progress_and_can_be_saved(camera_browser: Browser, server: ServerProcess) -> None:
    with demo(camera_browser, server) as page:
        open_tab(page, "Video")
        choose(page, "clip-picker", asset("recordings/demo.mp4"))
        page.get_by_role("button", name="Analyse").click()
        # How far it is shows for a second only, and later on a busy machine: the steps are tested in tests/demo.
        page.locator("#clip-status progress[value], #clip-result video").first.wait_for(timeout=60_000)
        page.locator("#clip-result video").wait_for(timeout=60_000)
        page.wait_for_function("document.querySelector('#clip-result video').duration > 4.5")
        assert "only the beginning" in page.locator("#clip-status").inner_text()
        assert "Apache-2.0" in page.locator("#clip-models").inner_text()
        save_screenshot(page, "demo-video")
        with page.expect_download() as saving:
            page.get_by_role("link", name="Save the results").click()
        lines = Path(saving.value.path()).read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
        assert len(lines) > 140
        assert clip_streams(server) == []


def stop_it(page: Page) -> None:
    page.locator("#clip-stop").click()
    page.locator("#clip-status", has_text="Stopped.").wait_for()


def leave(page: Page) -> None:
    page.goto("about:blank")


def repeated(clip: Path, times: int, to: Path) -> Path:
    """The same pictures so many times: long enough that nobody stops it too late."""
    with av.open(str(to), "w") as target:
        stream, end = None, 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.dts is not None and packet.pts is not None:
                        packet.dts, packet.pts = packet.dts + end, packet.pts + end
                        packet.stream = stream
                        target.mux(packet)
                end += source.streams.video[0].duration or 0
    return to


@pytest.mark.parametrize("end", [stop_it, leave])
def test_who_stops_or_leaves_ends_the_analysis(
    camera_browser: Browser, patient_server: ServerProcess, tmp_path: Path, end: Callable[[Page], None]
) -> None:
    server = patient_server
    clip = repeated(asset("recordings/demo.mp4"), 4, tmp_path / "long.mp4")
    with demo(camera_browser, server) as page:
        open_tab(page, "Video")
        choose(page, "clip-picker", clip)
        page.get_by_role("radio", name=FULL).check()
        page.get_by_role("button", name="Analyse").click()
        page.locator("#clip-status progress[value]").wait_for(timeout=60_000)
        assert len(clip_streams(server)) == 1
        end(page)
        until_sync(lambda: clip_streams(server) == [], timeout_s=20)


def test_the_plan_follows_the_budget(camera_browser: Browser, server: ServerProcess) -> None:
    with demo(camera_browser, server) as page:
        open_tab(page, "Plan")
        page.get_by_role("button", name="Show the plan").click()
        table = page.locator("#plan-table table")
        table.wait_for()
        assert "in 6000 MB" in table.inner_text()
        assert "licence" in table.inner_text()
        save_screenshot(page, "demo-plan")
        page.locator("input[type=number]").fill("400")
        page.get_by_role("button", name="Show the plan").click()
        page.locator("#plan-table caption", has_text="in 400 MB").wait_for()
        assert "resident" in table.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(camera_browser: Browser, server: ServerProcess, scheme: str) -> None:
    with demo(camera_browser, server, viewport=PHONE, color_scheme=scheme) as page:
        for name in ("Webcam", "Image", "Video", "Plan"):
            open_tab(page, name)
            if name == "Image":
                page.get_by_role("button", name="One face").click()
                page.get_by_role("button", name="Find faces").click()
                page.locator("#picture-painted img").wait_for()
            if name == "Plan":
                page.get_by_role("button", name="Show the plan").click()
                page.locator("#plan-table table").wait_for()
            save_screenshot(page, f"demo-phone-{scheme}-{name.lower()}")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_server_stops_while_the_page_is_open(camera_browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as running, demo(camera_browser, running, viewport=DESKTOP):
        running.stop()
        with pytest.raises(httpx.TransportError):
            running.get("/health")
