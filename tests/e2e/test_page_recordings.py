"""Recordings on the page: begun, seen to be on, played picture by picture, and deleted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import FaceScreener
from tests.browser import decode_picture, open_browser, open_page, save_screenshot, until_state
from tests.coded_video import FPS, LEVEL_STEP, LEVELS, level_of, write_video
from tests.recording.killed import Kind, clip_of
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips whose pictures' grey says which they are, in loops that fit the greys."""
    folder = tmp_path_factory.mktemp("media")
    write_video(folder / "plain.mp4", LEVELS, gop=10)
    write_video(folder / "b_frames.mp4", LEVELS, gop=20, b_frames=2)
    clip_of(Kind.VP8, folder).rename(folder / "vp8.webm")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    settings = {"SERVER__MEDIA_DIRS": f'["{media}"]', "RECORDING__DIR": str(folder / "kept")}
    with serving(folder, settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with open_page(browser, server.url) as page:
        yield page


def recorded(server: ServerProcess, source: str, name: str, seconds: float) -> dict[str, Any]:
    """A recording of a stream of its own, over HTTP."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        http.post("/streams", json={"name": name, "source": source}).raise_for_status()
        http.post(f"/streams/{name}/recording").raise_for_status()
        deadline_s = time.monotonic() + 30
        while http.get(f"/streams/{name}").json()["recording"]["seconds"] < seconds:
            assert time.monotonic() < deadline_s, "nothing is being recorded"
            time.sleep(0.05)
        entry: dict[str, Any] = http.delete(f"/streams/{name}/recording").raise_for_status().json()
        http.delete(f"/streams/{name}").raise_for_status()
    return entry


def open_player(page: Page, entry: dict[str, Any]) -> None:
    page.reload()
    page.locator(f"[data-recording='{entry['id']}'] .recording-play").click()
    until_state(page, "state.player && state.player.result")


def shown_after(page: Page, press: str) -> dict[str, Any]:
    """What the paused player shows once it shows something else."""
    before = page.evaluate("streamapp.state.player")
    page.get_by_role("button", name=press).click()
    seen = until_state(
        page,
        f"state.player && (state.player.mediaTime !== {before['mediaTime']} || state.player.part !== {before['part']})",
    )
    found: dict[str, Any] = seen["player"]
    return found


def test_a_stream_is_recorded_played_and_deleted(page: Page, screener: FaceScreener) -> None:
    page.get_by_role("button", name="Watch the demo clip").click()
    until_state(page, "state.phase === 'live' && state.drawn?.result?.tracks.length > 0")
    row = page.locator("[data-stream=demo]")
    expect(page.locator("#rec")).to_be_hidden()
    expect(row.locator(".rec")).to_be_hidden()
    row.get_by_role("button", name="Record demo", exact=True).click()
    expect(page.locator("#rec")).to_be_visible()
    expect(row.locator(".rec")).to_be_visible()
    expect(page.locator(".recording-state")).to_contain_text("being recorded")
    expect(row.locator(".rec-seconds")).to_have_text(re.compile(r"^([3-9]|\d\d) s$"), timeout=20_000)
    save_screenshot(page, "recording-on")
    row.get_by_role("button", name="Stop recording demo").click()
    expect(page.locator("#rec")).to_be_hidden()
    expect(row.locator(".rec")).to_be_hidden()
    page.get_by_role("button", name="Play demo").click()
    until_state(page, "state.player?.result?.tracks.length > 0")
    overlaps = []
    page.get_by_role("button", name="Pause").click()
    for _ in range(12):
        shown_after(page, "One picture on")
        seen = page.evaluate("streamapp.lookAtPlayer()")
        result, picture = seen["drawn"]["result"], decode_picture(seen["picture"])
        found = screener.screen(picture, 0.0)
        if result and result["tracks"] and len(found):
            drawn = np.array([track["box"] for track in result["tracks"]], np.float32)
            overlaps.append(float(pairwise_iou(drawn, found.boxes[[int(np.argmax(found.scores))]]).max()))
    assert len(overlaps) >= 6
    assert median(overlaps) > 0.8
    save_screenshot(page, "recording-player")
    page.get_by_role("button", name="Close").click()
    delete = page.get_by_role("button", name="Delete demo")
    delete.click()
    expect(page.locator(".recording")).to_have_count(1)
    delete.click()
    expect(page.locator(".recording")).to_have_count(0)
    save_screenshot(page, "recordings-empty")


@pytest.mark.parametrize("clip", ["plain.mp4", "b_frames.mp4"])
def test_every_step_and_seek_shows_a_picture_with_its_own_result(page: Page, server: ServerProcess, clip: str) -> None:
    entry = recorded(server, f"file:{clip}", clip.partition(".")[0], 3.0)
    open_player(page, entry)
    page.get_by_role("button", name="Pause").click()
    page.locator("#player-seek").fill("1.2")
    seen = [until_state(page, "Math.abs(state.player?.mediaTime - 1.2) < 0.1")["player"]]
    own = []
    for _ in range(15):
        seen.append(shown_after(page, "One picture on"))
        own.append(is_own_picture(page, entry))
    assert_neighbours(seen)
    back = [shown_after(page, "One picture back") for _ in range(10)]
    own.append(is_own_picture(page, entry))
    assert_neighbours([*reversed(back)])
    for position in ("0.31", "2.4", "0.9", "1.77"):
        page.locator("#player-seek").fill(position)
        until_state(page, f"Math.abs(state.player?.mediaTime - {position}) < 0.1")
        own.append(is_own_picture(page, entry))
    assert sum(own) > len(own) / 2


def test_vp8_is_sought_and_stepped_through(page: Page, server: ServerProcess) -> None:
    entry = recorded(server, "file:vp8.webm", "vp8", 3.0)
    assert entry["parts"][0]["file"] == "video-1.webm"
    open_player(page, entry)
    page.get_by_role("button", name="Pause").click()
    for position in ("1.5", "0.4"):
        page.locator("#player-seek").fill(position)
        seen = [until_state(page, f"Math.abs(state.player?.mediaTime - {position}) < 0.1")["player"]]
        seen += [shown_after(page, "One picture on") for _ in range(8)]
        assert_neighbours(seen)


def is_own_picture(page: Page, entry: dict[str, Any]) -> bool:
    """The grey of the picture on the canvas says that it is the one its result is about.

    False where a busy machine left the result out."""
    seen = page.evaluate("streamapp.lookAtPlayer()")
    result = seen["drawn"]["result"]
    if result is None:
        return False
    assert abs(entry["parts"][0]["start_pts_s"] + seen["drawn"]["mediaTime"] - result["pts_s"]) < 0.25 / FPS
    grey = float(decode_picture(seen["picture"]).mean())
    assert abs(grey - level_of(result["frame"])) < LEVEL_STEP / 2, (grey, result["frame"])
    return True


def assert_neighbours(shown: list[dict[str, Any]]) -> None:
    """One picture after the other, none left out."""
    times_s = np.array([one["mediaTime"] for one in shown])
    assert np.abs(np.diff(times_s) - 1 / FPS).max() < 0.25 / FPS, times_s
    assert sum(one["result"] is not None for one in shown) > len(shown) / 2  # a busy machine leaves some out
