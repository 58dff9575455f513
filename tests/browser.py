"""A real browser on the real page: headless Chromium, driven by Playwright."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

from streamapp.frame import Image
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import FaceScreener

ROOT = Path(__file__).parent.parent
ARTEFACTS = ROOT / "artefacts"
INSECURE_HOST = "camera-page.test"
"""A name that Chromium here resolves to 127.0.0.1 but, unlike localhost, does not trust."""
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

_MODULE_HOST = "http://page.test"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
)
_LOOPBACK_ICE = ("--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns")


def chromium_path() -> str:
    """Chromium's program; skips the calling test, by name, where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    return found


@contextmanager
def open_browser(
    *, camera: Path | None = None, granted: bool = True, beside: Browser | None = None, resolve: str = ""
) -> Iterator[Browser]:
    """A headless Chromium. `camera` is an MJPEG file that its only camera plays over and over; without one there is
    no camera. `granted`: whether pages get the camera without asking. `beside`: a browser that is open already.
    `resolve`: further rules of its resolver, such as `MAP host:port host:port`."""
    rules = ", ".join(filter(None, (f"MAP {INSECURE_HOST} 127.0.0.1", resolve)))
    flags = [*_QUIET, *_LOOPBACK_ICE, f"--host-resolver-rules={rules}"]
    if camera is not None:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
    if granted:
        flags.append("--use-fake-ui-for-media-stream")
    with ExitStack() as stack:
        kind = beside.browser_type if beside else stack.enter_context(sync_playwright()).chromium
        yield stack.enter_context(kind.launch(executable_path=chromium_path(), args=flags))


@contextmanager
def open_page(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """A page in a context of its own. Raises AssertionError at the end if its script failed or broke its policy."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            complaints.append(message.text)

    page = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **context}).new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", note)
    try:
        page.goto(url)
        yield page
    finally:
        page.context.close()
    assert complaints == []


@contextmanager
def open_blank_page(browser: Browser) -> Iterator[Page]:
    """An empty page that can import the page's modules, with no server."""
    page = browser.new_page()
    page.route(f"{_MODULE_HOST}/**", _serve_module)
    page.goto(f"{_MODULE_HOST}/blank")
    yield page
    page.close()


def run_module(blank_page: Page, module: str, body: str) -> Any:
    """The value of a JavaScript function body in which `m` is a module of the page."""
    return blank_page.evaluate(f"async () => {{ const m = await import('{_MODULE_HOST}/{module}'); {body} }}")


def _serve_module(route: Route) -> None:
    name = route.request.url.rsplit("/", 1)[1]
    if name == "blank":
        route.fulfill(content_type="text/html", body="<!doctype html><title>blank</title>")
    else:
        route.fulfill(content_type="text/javascript", body=(ROOT / "web" / name).read_text())


def state(page: Page) -> dict[str, Any]:
    """`window.streamapp.state`."""
    found: dict[str, Any] = page.evaluate("streamapp.state")
    return found


def until_state(page: Page, condition: str, timeout_s: float = 20.0) -> dict[str, Any]:
    """Waits until `condition`, JavaScript over `state`, holds; returns the state."""
    expression = f"() => {{ const state = streamapp.state; return ({condition}) && state; }}"
    found: dict[str, Any] = page.wait_for_function(expression, timeout=timeout_s * 1000, polling=50).json_value()
    return found


@dataclass(frozen=True, slots=True)
class Sight:
    """What the page's canvas showed at one moment: the picture as a data URL, without anything drawn on it, and what
    was drawn."""

    picture: str
    drawn: dict[str, Any]


def look(page: Page) -> Sight:
    """What the canvas shows now."""
    seen = page.wait_for_function("() => streamapp.look()").json_value()
    return Sight(**seen)


def overlaps_with_detector(page: Page, screener: FaceScreener, *, looks: int) -> list[float]:
    """Looks at the page now and then. For each picture shown with faces of its own: how well (IoU) the best of the
    boxes drawn covers the face that the detector finds when it is given that very picture."""
    overlaps = []
    for _ in range(looks):
        sight = look(page)
        tracks = sight.drawn["result"]["tracks"] if sight.drawn["matched"] else []
        if tracks:
            picture = decode_picture(sight.picture)
            found = screener.screen(picture, 0.0)
            scale = picture.shape[1] / sight.drawn["result"]["width"]
            drawn = np.array([track["box"] for track in tracks], np.float32) * scale
            if len(found):
                overlaps.append(float(pairwise_iou(drawn, found.boxes[[int(np.argmax(found.scores))]]).max()))
            else:
                overlaps.append(0.0)
        page.wait_for_timeout(150)
    return overlaps


def decode_picture(data_url: str) -> Image:
    """An image data URL as RGB."""
    coded = np.frombuffer(base64.b64decode(data_url.split(",", 1)[1]), np.uint8)
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture.astype(np.uint8, copy=False)


def save_screenshot(page: Page, name: str) -> Path:
    """Keeps a screenshot under artefacts/."""
    path = ARTEFACTS / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    page.screenshot(path=path)
    return path
