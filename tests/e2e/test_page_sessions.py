"""How a session of the page begins and ends, and how the page is used without a mouse or on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 15"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def publishers(server: ServerProcess) -> int:
    return sum(stream["source"] == "webrtc" for stream in server.get("/streams"))


def test_a_reload_frees_the_session_at_once(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        assert publishers(server) == 1
        page.reload()
        until_state(page, "state.kind === 'idle'")
        until_sync(lambda: publishers(server) == 0, 3)


def test_stop_ends_the_session_and_frees_the_camera(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        page.get_by_role("button", name="Stop").click()
        until_state(page, "state.kind === 'idle' && state.phase === 'idle'")
        assert page.evaluate("document.getElementById('video').srcObject") is None
        expect(page.get_by_role("button", name="Start camera")).to_be_visible()
        until_sync(lambda: publishers(server) == 0, 3)


def test_closing_the_page_frees_the_session(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        page.close(run_before_unload=True)
        until_sync(lambda: publishers(server) == 0, 3)


def test_the_page_fits_a_phone(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url, viewport=PHONE, device_scale_factor=2, has_touch=True) as page:
        page.get_by_role("button", name="Start camera").tap()
        until_state(page, LIVE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        box = page.locator("#picture").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        small = page.locator("button:visible, select:visible").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect().height).filter(height => height < 36)"
        )
        assert small == []
        save_screenshot(page, "console-phone-light")
        page.emulate_media(color_scheme="dark")
        save_screenshot(page, "console-phone-dark")


def test_everything_can_be_reached_by_keyboard(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        reached = []
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert reached[0] == "Skip to the video"
        assert {"start", "watch-demo", "camera", "resolution", "returned-toggle", "add-kind", "add-name"} <= set(
            reached
        )
        page.locator("#start").focus()
        page.keyboard.press("Enter")
        until_state(page, LIVE)


# The contrast of every text with the surface it lies on, after WCAG 2.2 section 1.4.3.
CONTRASTS = """
() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const surface = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()),
  );
  return texts.map((e) => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(surface(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 40)];
  });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(camera_browser: Browser, server: ServerProcess, scheme: str) -> None:
    with open_page(camera_browser, server.url, color_scheme=scheme) as page:
        found = page.evaluate(CONTRASTS)
        assert len(found) > 25
        assert [text for contrast, text in found if contrast < 4.5] == []
