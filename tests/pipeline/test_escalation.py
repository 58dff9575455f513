"""Keyframes are examined beside the frames, one at a time, and what they give reaches the board and the tracker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import ModelError
from streamapp.faces import Detector, Mode, TrackState
from streamapp.pipeline.keyframes import COOLDOWN_S, SWEEP_S
from streamapp.results import DropReason
from streamapp.scheduler.api import Dropped, Failed, Priority
from tests.fakes import ScriptedScheduler
from tests.pipeline.keyframe_streams import FAR, NEAR, stream, track
from tests.pipeline.lineups import (
    ANTISPOOF,
    GENDER_AGE,
    RECOGNISERS,
    REFINEMENT,
    YOLO,
    answers,
    face_points,
)
from tests.waiting import until


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
        assert recording.escalator.jobs_dropped == {DropReason.STALE: 1, DropReason.NO_MEMORY: 1}
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
        assert not recording.escalator.jobs_dropped


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


async def test_why_something_was_skipped_does_not_depend_on_which_model_was_first(tmp_path: Path) -> None:
    late = {RECOGNISERS[0]: Dropped(DropReason.STALE, ""), RECOGNISERS[2]: Dropped(DropReason.NO_MEMORY, "")}
    for order in (late, dict(reversed(late.items()))):
        async with stream(ScriptedScheduler(answers(yolo=(NEAR,)) | order), tmp_path, lossless=True) as recording:
            await recording.see(0, track())
            assert recording.escalator.board.skipped(1) == {"identity": "no_memory"}
            assert list(recording.escalator.answered[0].lost.items()) == [
                ("adaface-ir101", "stale"),
                ("arcface-r100-glint", "no_memory"),
            ]
