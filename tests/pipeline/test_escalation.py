"""Keyframes are examined beside the frames, one at a time, and what they give reaches the board and the tracker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import ModelError
from streamapp.faces import Detector, Mode, Track, TrackState
from streamapp.pipeline.escalation import Escalator
from streamapp.pipeline.examiner import Examiner
from streamapp.pipeline.keyframes import COOLDOWN_S, SWEEP_S
from streamapp.pipeline.shots import FaceShot
from streamapp.pipeline.stages import Screened
from streamapp.results import DropReason
from streamapp.scheduler.api import Dropped, Failed, Priority
from tests.fakes import ScriptedModels, ScriptedScheduler
from tests.pictures import frame, video_frame
from tests.pipeline.lineups import (
    ANTISPOOF,
    GENDER_AGE,
    REFINEMENT,
    YOLO,
    Box,
    answers,
    face_points,
    lineup,
)
from tests.waiting import until

NEAR, FAR = (100.0, 100.0, 200.0, 220.0), (400.0, 50.0, 440.0, 95.0)


def track(box: Box = NEAR, track_id: int = 1, state: TrackState = TrackState.CONFIRMED) -> Track:
    return Track(track_id, box, 0.9, Detector.MEDIAPIPE, state)


def shot(of: Track, index: int) -> FaceShot:
    """A grey one, that shows the face in its middle."""
    side = of.box[2] - of.box[0]
    box = (side, side, 2 * side, side + of.box[3] - of.box[1])
    pixels = np.full((int(3 * side), int(3 * side), 3), 90, np.uint8)
    return FaceShot(of.id, index, index / 30, pixels, box, of.score, 0.5, 0.5)


class Stream:
    """An escalator at work, and the frames that come by."""

    def __init__(self, escalator: Escalator, dropped: Counter[DropReason]) -> None:
        self.escalator = escalator
        self.dropped = dropped

    async def see(self, index: int, *tracks: Track, scene_changed: bool = False) -> tuple[str, ...] | None:
        """The reasons for which the frame was chosen."""
        made = frame(index, video=video_frame(640, 360))
        shots = {one.id: shot(one, index) for one in tracks if one.state is TrackState.CONFIRMED}
        self.sightings = self.escalator.begin_frame(index)
        keyframe = await self.escalator.consider(made, Screened(tracks, {}, scene_changed, shots))
        return None if keyframe is None else keyframe.reasons

    async def settled(self) -> None:
        """Waits until no keyframe is under way."""
        await until(self.escalator._idle.is_set)


@asynccontextmanager
async def stream(
    scheduler: ScriptedScheduler, folder: Path, mode: Mode = Mode.FULL, *, lossless: bool = False
) -> AsyncIterator[Stream]:
    examiner, dropped = Examiner(scheduler, lineup(folder)), Counter[DropReason]()
    escalator = Escalator("cam", mode, ScriptedModels(examiner), dropped, lossless=lossless)
    running = asyncio.ensure_future(escalator.run())
    try:
        yield Stream(escalator, dropped)
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_face_that_no_track_covers_becomes_a_sighting_which_is_given_once(tmp_path: Path) -> None:
    async with stream(ScriptedScheduler(answers(yolo=(NEAR, FAR))), tmp_path, Mode.STANDARD) as live:
        assert await live.see(0, track()) == ("interval",)
        await live.settled()
        (sighting,) = live.escalator.begin_frame(1)
        assert (sighting.detector, sighting.boxes.tolist()) == (Detector.YOLO, [list(FAR)])
        assert live.escalator.begin_frame(2) == ()
        assert live.escalator.keyframes == {"interval": 1}


async def test_what_only_the_screener_saw_is_no_sighting(tmp_path: Path) -> None:
    async with stream(ScriptedScheduler(answers(yolo=())), tmp_path, Mode.STANDARD) as live:
        await live.see(0, track())
        await live.settled()
        assert live.escalator.begin_frame(1) == ()


async def test_a_live_stream_waits_for_nothing_and_has_one_keyframe_under_way(tmp_path: Path) -> None:
    gate = asyncio.Event()
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)), gate=gate)
    async with stream(scheduler, tmp_path) as live:
        async with asyncio.timeout(5):
            assert await live.see(0, track()) == ("new_track", "interval")
            await until(lambda: scheduler.jobs)
            chosen = [await live.see(index, track(), track(FAR, 2)) for index in range(1, 60)]
        assert chosen == [None] * 59
        assert scheduler.asked == [REFINEMENT]
        gate.set()
        await live.settled()
        assert live.escalator.board.analyses(1, 2.0) == {}
        live.escalator.begin_frame(60)
        assert set(live.escalator.board.analyses(1, 2.0)) == {"identity", "liveness", "gender_age", "deepfake"}
        assert live.escalator.board.analyses(1, 2.0)["liveness"].age_s == 2.0
        assert live.escalator.board.analyses(2, 2.0) == {}
        live.escalator.ask()
        assert await live.see(60, track(), track(FAR, 2)) == ("asked_for",)


async def test_a_lossless_stream_has_the_answers_of_a_keyframe_with_that_frame(tmp_path: Path) -> None:
    async with stream(ScriptedScheduler(answers(yolo=(NEAR,))), tmp_path, lossless=True) as recording:
        await recording.see(7, track())
        analysis = recording.escalator.board.analyses(1, 7 / 30)["gender_age"]
        assert (analysis.frame, analysis.age_s, analysis.samples, analysis.model) == (7, 0.0, 1, GENDER_AGE)


async def test_answers_go_to_the_track_they_are_about(tmp_path: Path) -> None:
    script = answers(yolo=((398.0, 52.0, 442.0, 96.0), (105.0, 98.0, 202.0, 215.0)))
    async with stream(ScriptedScheduler(script), tmp_path, lossless=True) as recording:
        await recording.see(0, track(NEAR, 5), track(FAR, 6))
        board = recording.escalator.board
        for box, track_id in ((NEAR, 5), (FAR, 6)):
            points = board.landmarks(track(box, track_id), 0.0)
            assert points is not None
            assert np.abs(np.array(points) - face_points(box)).max() < 8
            assert board.analyses(track_id, 0.0)["identity"].samples == 1


async def test_only_the_tracks_that_are_due_are_analysed_and_by_their_own_crops(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR, FAR)))
    async with stream(scheduler, tmp_path, lossless=True) as recording:
        await recording.see(0, track())
        assert [len(job.items) for job in scheduler.jobs if job.operation.name == ANTISPOOF] == [1]
        scheduler.jobs.clear()
        assert await recording.see(3, track(), track(FAR, 2)) == ("new_track",)
        assert YOLO not in scheduler.asked
        assert [len(job.items) for job in scheduler.jobs if job.operation.name in (ANTISPOOF, REFINEMENT)] == [1, 1]
        assert {(job.owner, job.priority, job.reason) for job in scheduler.jobs} == {
            ("cam", Priority.NEW_FACE, "new_track")
        }
        assert recording.escalator.board.analyses(2, 0.1)["liveness"].frame == 3
        assert recording.escalator.board.analyses(1, 0.1)["liveness"].samples == 1


async def test_a_face_the_sweep_should_have_seen_is_disputed_until_it_is_seen(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(FAR,), refines=False))
    sweep = round(SWEEP_S * 30)
    async with stream(scheduler, tmp_path, lossless=True) as recording:
        tracks = (track(), track(FAR, 2), track((300, 200, 360, 260), 3, TrackState.COASTING))
        await recording.see(0, *tracks)
        assert recording.escalator.board.disputed == {1}
        assert await recording.see(round(COOLDOWN_S * 30), *tracks) == ("detectors_disagree", "undecided")
        scheduler.script |= answers(yolo=(NEAR, FAR))
        await recording.see(sweep, *tracks)
        assert recording.escalator.board.disputed == frozenset()


async def test_a_sweep_that_did_not_take_place_disputes_nothing(tmp_path: Path) -> None:
    script = answers(refines=False) | {YOLO: Dropped(DropReason.STALE, "late")}
    async with stream(ScriptedScheduler(script), tmp_path, lossless=True) as recording:
        await recording.see(0, track())
        assert recording.escalator.board.disputed == frozenset()


async def test_dropped_jobs_are_counted_and_their_faces_are_asked_about_again(tmp_path: Path) -> None:
    late = {ANTISPOOF: Dropped(DropReason.STALE, "late"), GENDER_AGE: Dropped(DropReason.NO_MEMORY, "full")}
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)) | late)
    async with stream(scheduler, tmp_path, lossless=True) as recording:
        await recording.see(0, track())
        assert recording.dropped == {DropReason.STALE: 1, DropReason.NO_MEMORY: 1}
        assert set(recording.escalator.board.analyses(1, 0.0)) == {"identity", "deepfake"}
        scheduler.script |= answers(yolo=(NEAR,))
        assert await recording.see(14, track()) is None
        assert await recording.see(15, track()) == ("undecided",)
        assert "liveness" in recording.escalator.board.analyses(1, 0.5)
        assert await recording.see(29, track()) is None


@pytest.mark.parametrize("broken", [YOLO, REFINEMENT, ANTISPOOF])
async def test_a_model_that_fails_does_not_end_the_stream_nor_is_it_asked_about_faster(
    tmp_path: Path, broken: str
) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)) | {broken: Failed(ModelError("broken"))})
    async with stream(scheduler, tmp_path, lossless=True) as recording:
        chosen = [index for index in range(91) if await recording.see(index, track())]
        assert chosen == [0, 15, 30, 60, 90], "a second crop of a new face, and sweeps"
        assert not recording.dropped


async def test_a_track_that_is_gone_when_the_answer_comes_does_no_harm(tmp_path: Path) -> None:
    gate = asyncio.Event()
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)), gate=gate)
    async with stream(scheduler, tmp_path) as live:
        await live.see(0, track())
        await until(lambda: scheduler.jobs)
        await live.see(1)
        gate.set()
        await live.settled()
        assert await live.see(2, track(track_id=2)) == ("new_track",)


async def test_ending_a_stream_while_a_keyframe_is_under_way_leaves_nothing_behind(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)), gate=asyncio.Event())
    before = asyncio.all_tasks()
    async with stream(scheduler, tmp_path) as live:
        await live.see(0, track())
        await until(lambda: scheduler.jobs)
    assert asyncio.all_tasks() == before


async def test_fast_streams_escalate_nothing(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler({})
    async with stream(scheduler, tmp_path, Mode.FAST) as live:
        live.escalator.ask()
        assert await live.see(0, track(), scene_changed=True) is None
    assert not scheduler.jobs
