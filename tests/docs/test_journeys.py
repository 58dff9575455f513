"""The three ways in, as their guides have them: every command and every press of a button, in their order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
from playwright.sync_api import expect

from tests.browser import open_browser, open_page, until_state
from tests.camera_file import demo_clip, face_clip, write_camera
from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.terminal import WRITTEN, Terminal, terminal
from tests.rtsp_server import GstServer, gst_server
from tests.weights import models_folder, need_full_mode

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(300)]
GUIDES = ROOT / "docs" / "guides"
SERVES = ("make run", "streamapp serve")
OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[OpenTerminal]:
    """Opens a terminal in a folder with a portrait, on a machine that has the weights and only itself."""
    models = tmp_path / "models"
    models.mkdir()
    settings = {"MODELS__DIR": str(models_folder(models)), "SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    folder = tmp_path / "checkout"
    folder.mkdir()
    with av.open(demo_clip()) as clip:
        cv2.imwrite(str(folder / "portrait.jpg"), next(clip.decode(video=0)).to_ndarray(format="bgr24"))
    opened = []

    def start(**own: str) -> Terminal:
        context = terminal(folder, settings=settings, own=own)
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def follow(guide: Path, terminal: Terminal) -> None:
    """Types every command of a guide; what it shows as an answer has to come."""
    said = ""
    for block in blocks(guide, "sh", "json"):
        if block.language == "json":
            assert_alike(json.loads(block.text), answer_in(said), block)
        elif block.text.strip() in SERVES:
            terminal.serve(block.text)
        else:
            said = terminal.run(block.text)


def answer_in(said: str) -> Any:
    """The JSON in what a command wrote last."""
    return json.loads(said[said.index("{") :])


def assert_alike(shown: Any, real: Any, block: Block) -> None:
    """All that an example shows is in the real answer, of the same type; lists are compared by their first entries."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), block
        assert shown.keys() <= real.keys(), block
        for key, value in shown.items():
            assert_alike(value, real[key], block)
    elif isinstance(shown, list):
        assert isinstance(real, list), block
        for one, other in zip(shown[:1], real[:1], strict=True):
            assert_alike(one, other, block)
    elif isinstance(shown, float | int) and not isinstance(shown, bool):
        assert isinstance(real, float | int), block
    elif isinstance(shown, str) and "…" not in shown:
        assert real == shown, block


def presses(guide: Path) -> list[str]:
    """The buttons a guide has one press, in their order."""
    return re.findall(r"\b[Pp]ress \*\*(.+?)\*\*", guide.read_text())


@pytest.mark.media
def test_the_webcam(open_terminal: OpenTerminal, tmp_path: Path) -> None:
    guide = GUIDES / "webcam.md"
    terminal = open_terminal()
    follow(guide, terminal)
    assert presses(guide) == ["Start camera", "Stop"]
    start, stop = presses(guide)
    camera = write_camera(face_clip(), tmp_path / "face.mjpeg")
    with (
        open_browser(camera=camera, resolve=f"MAP {WRITTEN} {terminal.address}") as browser,
        open_page(browser, f"http://{WRITTEN}") as page,
    ):
        page.get_by_role("button", name=start, exact=True).click()
        until_state(page, "state.phase === 'live' && state.drawn?.result?.tracks.length === 1")
        expect(page.locator("#connection")).to_have_text("Live")
        page.get_by_role("button", name=stop, exact=True).click()
        until_state(page, "state.kind === 'idle'")


@pytest.fixture
def camera() -> Iterator[GstServer]:
    with gst_server("--auth", "basic", "--user", "user", "--password", "password") as camera:
        yield camera


def test_an_rtsp_camera(open_terminal: OpenTerminal, camera: GstServer) -> None:
    terminal = open_terminal(CAMERA=camera.url(credentials="user:password@"))
    follow(GUIDES / "rtsp-camera.md", terminal)
    assert len((terminal.folder / "results.jsonl").read_text().splitlines()) == 30
    with av.open(terminal.folder / "door.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) > 100
    snapshot = cv2.imread(str(terminal.folder / "door.jpg"))
    assert snapshot is not None
    assert snapshot.shape == (240, 320, 3)


def test_the_image_api(open_terminal: OpenTerminal) -> None:
    need_full_mode()
    terminal = open_terminal()
    follow(GUIDES / "image-api.md", terminal)
    assert (terminal.folder / "notes.txt").is_file()
