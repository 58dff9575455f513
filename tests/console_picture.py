"""Makes docs/pictures/console.png, the README's picture, from a real run: `python -m tests.console_picture`.

The demo clip plays as the camera of a real browser; one stream is live and one camera is down.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser import ROOT, open_browser, open_page, until_state
from tests.camera_file import demo_clip, write_camera
from tests.server_process import serving
from tests.weights import models_folder

TARGET = ROOT / "docs/pictures/console.png"
SIZE = {"width": 1200, "height": 860}
CAMERA = Path("Camera.mjpeg")
"""Relative: the browser shows it as the camera's name."""
DOWN = "rtsp://127.0.0.1:1554/parking"
SHOW = """
  state.figures.latencySamples > 140 && state.drawn.matched && state.drawn.result.tracks.length === 2 &&
  state.drawn.result.tracks.every((track) => track.state === 'confirmed' && track.score > 0.84 &&
    track.analyses.liveness?.state === 'live' && track.analyses.gender_age?.samples > 1)
"""


def main() -> None:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_camera(demo_clip(), CAMERA, s=14)
        models = models_folder(Path(tempfile.mkdtemp(dir=folder)))
        with (
            serving(
                Path(folder), settings={"MODELS__DIR": str(models), "SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
            ) as server,
            open_browser(camera=CAMERA) as browser,
            open_page(browser, server.url, viewport=SIZE) as page,
        ):
            page.get_by_label("Add a stream").get_by_label("Name").fill("entrance")
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.locator("[data-stream=entrance]")).to_have_attribute("data-state", "live")
            page.get_by_label("Add a stream").get_by_label("Kind").select_option("rtsp")
            page.get_by_label("Address").fill(DOWN)
            page.get_by_label("Add a stream").get_by_label("Name").fill("parking")
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_label("Camera").get_by_label("Depth").select_option("full")
            page.get_by_role("button", name="Start camera").click()
            until_state(page, SHOW, 90)
            shot = page.screenshot(full_page=True)
    picture = Image.open(io.BytesIO(shot), formats=["PNG"]).convert("RGB")
    picture.point(lambda value: value & 0xFC).save(TARGET, optimize=True)  # the last bits are noise, and half the file
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
