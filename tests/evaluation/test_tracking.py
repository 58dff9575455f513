"""Ids that tracks keep, against ids given frame by frame, on clips whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.clips import FrameLabels, LabelledClip
from streamapp.evaluation.tracking import durations_s, evaluate, frame_by_frame
from streamapp.faces import Mode, TrackState
from streamapp.results import FrameResult, TrackResult
from tests.pictures import track

Box = tuple[float, float, float, float]
NOTHING = np.zeros((0, 4), np.float32)


def at(x: float) -> Box:
    return x, 0.0, x + 20, 20.0


def seen(x: float, *, coasting: bool = False) -> TrackResult:
    return track(at(x), track_id=7, state=TrackState.COASTING if coasting else TrackState.CONFIRMED)


def results(*frames: list[TrackResult]) -> list[FrameResult]:
    return [
        FrameResult("clip", index, index / 10, 0.0, 640, 480, Mode.FAST, tuple(tracks), None, {}, {})
        for index, tracks in enumerate(frames)
    ]


def test_frame_by_frame_a_face_keeps_its_id_while_it_overlaps_itself() -> None:
    frames = frame_by_frame(results([seen(0)], [seen(5)], [seen(30)]))
    assert [frame.ids.tolist() for frame in frames] == [[1], [1], [2]]


def test_frame_by_frame_there_is_no_memory_over_a_gap() -> None:
    frames = frame_by_frame(results([seen(0)], [seen(0, coasting=True)], [seen(0)]))
    assert [frame.ids.tolist() for frame in frames] == [[1], [], [2]]


def test_frame_by_frame_the_greatest_overlap_comes_first() -> None:
    frames = frame_by_frame(results([seen(0), seen(8)], [seen(7), seen(2)]))
    assert frames[1].ids.tolist() == [2, 1]


def test_every_frame_lasts_until_the_next() -> None:
    assert durations_s(results([], [], [])) == pytest.approx([0.1, 0.1, 0.1])
    assert durations_s(results([])) == [0.0]


async def test_a_tracker_that_coasts_makes_fewer_errors_than_ids_by_frame() -> None:
    gaps = {20, 40, 60, 80}
    labels = {n: FrameLabels(np.array([1]), np.array([at(n)], np.float32), NOTHING) for n in range(100)}
    clip = LabelledClip(Path("lobby.mp4"), labels, {})

    async def play(path: Path, mode: Mode) -> list[FrameResult]:
        assert (path, mode) == (clip.path, Mode.FAST)
        return results(*[[seen(n, coasting=n in gaps)] for n in range(100)])

    ours, baseline = await evaluate([clip, clip], [Mode.FAST], play, min_iou=0.5)
    assert (ours.is_baseline, baseline.is_baseline) == (False, True)
    assert (ours.switches.count, ours.fragments.count, ours.mota.value, ours.idf1.value) == (0, 0, 1, 1)
    assert (baseline.switches.count, baseline.fragments.count) == (8, 8)
    assert baseline.recall.value == pytest.approx(0.96)
    assert baseline.mota.value == pytest.approx(1 - (8 + 8) / 200)
    assert baseline.precision.value == 1
    assert ours.face_minutes == pytest.approx(20 / 60)
    assert baseline.mota.low < baseline.mota.value < baseline.mota.high


async def test_labels_beyond_the_end_of_a_clip_are_an_error() -> None:
    labels = {9: FrameLabels(np.array([1]), np.array([at(0)], np.float32), NOTHING)}
    clip = LabelledClip(Path("lobby.mp4"), labels, {})

    async def play(_: Path, __: Mode) -> list[FrameResult]:
        return results([], [])

    with pytest.raises(UsageError, match=r"lobby\.txt labels frame 10; the clip has 2"):
        await evaluate([clip], [Mode.FAST], play, min_iou=0.5)
