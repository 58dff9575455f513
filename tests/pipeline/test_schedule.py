"""What a session did when is done again: its requests, its answers in their frames, and what never came."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import UsageError
from streamapp.faces import Mode
from streamapp.pipeline.schedule import Schedule
from streamapp.results import Answered, DropReason, FrameResult, Keyframe, Step, Target
from streamapp.scheduler.api import Dropped
from tests.fakes import ScriptedScheduler
from tests.pipeline.keyframe_streams import FAR, NEAR, stream, track
from tests.pipeline.lineups import ANTISPOOF, GENDER_AGE, REFINEMENT, YOLO, answers


def told(frame: int, keyframe: Keyframe | None = None, answers: tuple[Answered, ...] = ()) -> FrameResult:
    return FrameResult("cam", frame, frame / 30, 0.0, 640, 360, Mode.FULL, (), keyframe, {}, {}, answers)


BOTH = Keyframe(("new_track", "interval"), "interval", (Target(1, "new_track"),))


async def test_a_schedule_decides_in_place_of_the_policy_what_is_asked_and_when_answers_count(tmp_path: Path) -> None:
    sweep, analysis = Answered(3, Step.SWEEP), Answered(3, Step.ANALYSIS)
    results = [told(0), told(3, BOTH), told(4), told(9, None, (sweep, analysis)), told(11)]
    scheduler = ScriptedScheduler(answers(yolo=(NEAR, FAR)))
    async with stream(scheduler, tmp_path, schedule=Schedule(results)) as again:
        assert await again.see(0, track()) is None, "the policy would have swept"
        assert await again.see(3, track()) == ("new_track", "interval")
        assert YOLO in scheduler.asked
        assert again.escalator.board.analyses(1, 0.1) == {}
        await again.see(4, track())
        assert not again.escalator.answered
        assert again.escalator.board.analyses(1, 0.1) == {}
        await again.see(9, track())
        assert list(again.escalator.answered) == [sweep, analysis], "in the order they came in"
        assert len(again.sightings) == 1
        assert "liveness" in again.escalator.board.analyses(1, 0.3)
        await again.see(11, track())
        assert not again.escalator.answered
        assert not again.sightings


async def test_what_gave_no_answer_then_is_not_asked_now_and_ends_as_it_did(tmp_path: Path) -> None:
    lost = {ANTISPOOF: "stale", GENDER_AGE: "model_hung", REFINEMENT: "no_memory"}
    answered = Answered(3, Step.ANALYSIS, lost)
    results = [told(3, BOTH, ()), told(5, None, (Answered(3, Step.SWEEP), answered))]
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)))
    async with stream(scheduler, tmp_path, schedule=Schedule(results)) as again:
        await again.see(3, track())
        await again.see(5, track())
    assert again.escalator.answered == (Answered(3, Step.SWEEP), answered)
    assert not {ANTISPOOF, GENDER_AGE} & set(scheduler.asked)
    assert scheduler.asked.count(REFINEMENT) == 1, "the sweep had its answer"
    assert again.escalator.board.skipped(1) == {
        "mtcnn": "no_memory",
        "identity": "model_input_invalid",
        "liveness": "stale",
        "gender_age": "model_hung",
    }
    assert again.escalator.jobs_dropped == {DropReason.STALE: 1, DropReason.NO_MEMORY: 1}


async def test_a_schedule_of_a_session_without_its_beginning_asks_what_it_can(tmp_path: Path) -> None:
    later = Keyframe(("new_track", "interval"), "interval", (Target(7, "new_track"), Target(1, "new_track")))
    unknown = Keyframe(("new_track",), None, (Target(7, "new_track"),))
    results = [told(3, later, (Answered(1, Step.SWEEP), Answered(3, Step.SWEEP))), told(4, unknown)]
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)))
    async with stream(scheduler, tmp_path, schedule=Schedule(results)) as again:
        assert await again.see(3, track()) == ("new_track", "interval")
        assert again.escalator.answered == (Answered(3, Step.SWEEP),)
        assert await again.see(4, track()) is None


def test_results_with_reasons_that_are_not_known_here_are_refused() -> None:
    for keyframe in (Keyframe(("x",), "x"), Keyframe(("x",), None, (Target(1, "x"),))):
        with pytest.raises(UsageError, match="cannot be repeated by this version"):
            Schedule([told(0, keyframe)])


@pytest.mark.parametrize("code", [*DropReason, "model_hung", "model_suspended", "model_failed", "of another version"])
def test_what_ended_without_an_answer_ends_in_the_same_way(code: str) -> None:
    answered = Answered(3, Step.ANALYSIS, {"net": code})
    schedule = Schedule([told(3), told(4, None, (answered,))])
    ending = schedule.lost(3, Step.ANALYSIS)["net"]
    if isinstance(ending, Dropped):
        assert ending.reason == code
    else:
        assert ending.error.code == ("model_failed" if code == "of another version" else code)
    assert schedule.lost(3, Step.SWEEP) == {}
