"""The same clip gives the same decisions, whatever the lanes, the clock or the load; a live session gives its own."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import av
import pytest
from av.bitstream import BitStreamFilterContext

from streamapp.assets import asset
from streamapp.errors import ModelMissing, SourceError, UsageError
from streamapp.faces import Mode
from streamapp.pipeline import keyframes
from streamapp.replay.clip import open_clip
from streamapp.replay.differences import differences
from streamapp.replay.golden import Record, read_record
from streamapp.replay.run import replay
from streamapp.results import DropReason, FrameResult, Step
from streamapp.sources.base import Pace
from streamapp.sources.file import FileSource
from streamapp.sources.rtsp import RtspSource
from streamapp.sources.url import parse
from tests.coded_video import write_pan, write_video
from tests.replay.sessions import decisions, frames_of, record_of, settings_of, went_live, write_results
from tests.rtsp_server import FakeCamera
from tests.sessions import picture
from tests.weights import models_folder

DEMO = asset("recordings/demo.mp4")
SHORT = 120
"""Frames, for tests that need no whole clip."""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return models_folder(folder)


async def anew(folder: Path, *, lanes: int | None = None, record: Record | None = None) -> tuple[FrameResult, ...]:
    return (await replay(open_clip(DEMO), Mode.FULL, settings_of(folder, lanes=lanes), record)).results


@pytest.mark.weights
@pytest.mark.timeout(240)
async def test_decisions_are_the_same_to_the_byte_on_every_run_with_one_lane_or_two(weights: Path) -> None:
    first = await anew(weights, lanes=1)
    assert len(first) == 435
    kinds = {kind for seen in first for track in seen.tracks for kind in track.analyses}
    assert {"identity", "liveness", "gender_age"} <= kinds
    for lanes in (2, 1, 2):
        assert decisions(await anew(weights, lanes=lanes)) == decisions(first)


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.timeout(240)
async def test_so_they_are_where_models_are_shown_several_faces_at_once(weights: Path, tmp_path: Path) -> None:
    clip = open_clip(write_pan(tmp_path / "pan.mp4", picture("groups/facenet_pytorch_multiface.jpg")))
    first, *others = [
        (await replay(clip, Mode.FULL, settings_of(weights, lanes=lanes), None)).results for lanes in (1, 2, 2)
    ]
    assert max(len(seen.keyframe.targets) for seen in first if seen.keyframe) > 1
    for again in others:
        assert decisions(again) == decisions(first)


@pytest.mark.weights
async def test_no_decision_depends_on_a_clock(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await anew(weights, record=frames_of(SHORT))
    monotonic, wall = time.monotonic, time.time
    monkeypatch.setattr(time, "monotonic", lambda: 1e6 + 5 * monotonic())
    monkeypatch.setattr(time, "time", lambda: 4e9 - wall())
    again = await anew(weights, record=record_of(first))
    monkeypatch.undo()
    assert decisions(again) == decisions(first)
    assert again[0].captured_at != pytest.approx(wall(), abs=1e6), "the clock did lie"


@pytest.mark.weights
async def test_where_the_policy_decided_it_decides_again(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await anew(weights, record=frames_of(SHORT))
    monkeypatch.setattr(keyframes, "SWEEP_S", 0.8)
    found = differences(first, await anew(weights, record=record_of(first)))
    assert (found[0].frame, found[0].field) == (24, "keyframe")
    assert (found[0].was, found[0].now) == (None, "reasons=['interval'] sweep=interval targets=[]")


def check_was_live(results: list[FrameResult], *, forgetful: bool) -> None:
    """That frames were dropped, keyframes skipped and answers late, as is usual on a busy machine."""
    assert results[-1].dropped[DropReason.STALE] > 10
    assert [seen.frame for seen in results] != list(range(len(results)))
    answers = [(seen.frame, answered) for seen in results for answered in seen.answers]
    assert all(frame > answered.frame for frame, answered in answers)
    assert {answered.step for _, answered in answers} == set(Step)
    assert bool([answered for _, answered in answers if answered.lost]) >= forgetful


@pytest.mark.weights
@pytest.mark.timeout(240)
@pytest.mark.parametrize("forgetful", [False, True], ids=["", "models that do not answer"])
async def test_a_paced_session_replays_to_the_decisions_it_made(weights: Path, tmp_path: Path, forgetful: bool) -> None:
    settings = settings_of(weights)
    live = await went_live(
        lambda numbering: FileSource(DEMO, numbering, settings.sources, pace=Pace.REALTIME),
        settings,
        Mode.FULL,
        max_frames=80,
        pause_s=0.05,
        forgetful=forgetful,
    )
    check_was_live(live, forgetful=forgetful)
    record = read_record(write_results(tmp_path / "live.jsonl", live))
    assert record.is_live
    for lanes in (1, 2):
        again = await replay(open_clip(DEMO), Mode.FULL, settings_of(weights, lanes=lanes), record)
        assert decisions(again.results) == decisions(live)


def pictures_of(clip: Path) -> list[bytes]:
    """As a camera sends them: Annex B, parameter sets before each I-frame."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        convert = BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [out for packet in container.demux(stream) for out in convert.filter(packet)]
        return [bytes(packet) for packet in packets if packet.size]


@pytest.mark.weights
@pytest.mark.timeout(240)
async def test_a_session_of_a_camera_replays_to_the_decisions_it_made(weights: Path, tmp_path: Path) -> None:
    settings = settings_of(weights)
    async with FakeCamera(pictures_of(DEMO)).serve() as camera:
        address = parse(camera.url).rtsp
        assert address is not None
        live = await went_live(
            lambda numbering: RtspSource(address, numbering, settings.sources),
            settings,
            Mode.FULL,
            max_frames=80,
            pause_s=0.05,
        )
    check_was_live(live, forgetful=False)
    record = read_record(write_results(tmp_path / "live.jsonl", live))
    again = await replay(open_clip(DEMO), Mode.FULL, settings, record)
    assert decisions(again.results) == decisions(live)


@pytest.mark.weights
async def test_a_session_seen_from_its_middle_on_is_replayed_as_far_as_that_goes(weights: Path) -> None:
    part = (await anew(weights, record=frames_of(260)))[200:]
    record = record_of(tuple(replace(one, frame=one.frame + 1000) for one in part), is_live=True)
    again = await anew(weights, record=record)
    assert [seen.frame for seen in again] == [seen.frame + 1000 for seen in part]
    assert {len(seen.tracks) for seen in again[5:]} == {1}


@pytest.mark.weights
async def test_results_of_another_clip_are_refused(weights: Path, tmp_path: Path) -> None:
    first = await anew(weights, record=frames_of(10))
    other = open_clip(write_video(tmp_path / "other.mp4", 10))
    settings = settings_of(weights)
    with pytest.raises(UsageError, match="another size"):
        await replay(other, Mode.FAST, settings, record_of(first))
    never = tuple(replace(one, pts_s=one.pts_s + 0.011) for one in first)
    with pytest.raises(UsageError, match="another clip"):
        await replay(other, Mode.FAST, settings, record_of(never, is_live=True))


async def test_a_clip_that_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a video" * 100)
    (tmp_path / "models").mkdir()
    folder = models_folder(tmp_path / "models")
    with pytest.raises(SourceError, match=r"clip\.mp4"):
        await replay(open_clip(tmp_path / "clip.mp4"), Mode.FAST, settings_of(folder), None)


async def test_a_mode_without_its_models_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="streamapp models pull"):
        await replay(open_clip(DEMO), Mode.STANDARD, settings_of(tmp_path), None)
