"""A replay with the models of a server at work comes after its streams, and decides as one by itself does."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.assets import asset
from streamapp.faces import Mode
from streamapp.models import Models
from streamapp.replay.clip import open_clip
from streamapp.replay.report import Report
from streamapp.replay.run import replay, replay_beside
from streamapp.results import DropReason
from streamapp.scheduler.api import Dropped, Item, Job, Outcome, Priority, Scheduler, Value
from streamapp.sinks.result_log import ResultLog
from streamapp.zoo.registry import open_screener
from tests.replay.sessions import decisions, frames_of, record_of, settings_of
from tests.weights import models_folder

pytestmark = [pytest.mark.weights, pytest.mark.timeout(240)]
CLIP = open_clip(asset("recordings/demo.mp4"))
FRAMES = 60


class NotingScheduler:
    """Notes how urgent jobs are; ends those of `lost` without an answer."""

    def __init__(self, scheduler: Scheduler, lost: str = "") -> None:
        self.priorities: list[Priority] = []
        self._scheduler = scheduler
        self._lost = lost

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        self.priorities.append(job.priority)
        if self._lost and self._lost in job.operation.name:
            return Dropped(DropReason.NO_MEMORY, "no room")
        return await self._scheduler.submit(job)


async def test_it_decides_the_same_after_everybody_else(tmp_path: Path) -> None:
    settings = settings_of(models_folder(tmp_path))
    alone = await replay(CLIP, Mode.FULL, settings, frames_of(FRAMES))
    record, log = record_of(alone.results), ResultLog()
    async with Models.start(settings) as models:
        scheduler = NotingScheduler(models.scheduler)
        models.scheduler = scheduler  # type: ignore[assignment]  # only submit is used
        beside = await replay_beside(models, CLIP, settings, record, lambda: open_screener(settings), log)
    assert decisions(beside.results) == decisions(alone.results)
    assert tuple(log.results) == beside.results
    assert beside.conditions == alone.conditions
    assert beside.unanswered == 0
    assert len(scheduler.priorities) > 5
    assert set(scheduler.priorities) == {Priority.BACKGROUND}
    report = Report.of("clip", record, beside)
    assert (report.differences, report.warnings) == ((), ())


async def test_what_a_busy_machine_did_not_answer_is_said(tmp_path: Path) -> None:
    settings = settings_of(models_folder(tmp_path))
    alone = await replay(CLIP, Mode.FULL, settings, frames_of(FRAMES))
    async with Models.start(settings) as models:
        models.scheduler = NotingScheduler(models.scheduler, lost="genderage")  # type: ignore[assignment]  # as above
        beside = await replay_beside(
            models, CLIP, settings, record_of(alone.results), lambda: open_screener(settings), ResultLog()
        )
    assert beside.unanswered > 0
    report = Report.of("clip", record_of(alone.results), beside)
    assert "gender_age" in report.by_field
    assert any(f"{beside.unanswered} questions" in warning for warning in report.warnings)
