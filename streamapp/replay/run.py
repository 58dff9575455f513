"""A clip through the live pipeline on the clip's own clock: nothing is late or lost, and nobody is noted as seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from uuid import UUID

from streamapp.errors import SourceError, StreamappError, UsageError
from streamapp.faces import Mode
from streamapp.findings import Embedding
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.search import SearchResult
from streamapp.models import Models
from streamapp.pipeline.examiner import Examiner
from streamapp.pipeline.schedule import Schedule
from streamapp.pipeline.session import StreamSession
from streamapp.replay.clip import Clip, ClipSource
from streamapp.replay.conditions import Conditions, conditions_of
from streamapp.replay.golden import Record
from streamapp.results import FrameResult
from streamapp.scheduler.api import Dropped, Item, Job, Outcome, Priority, Scheduler, Value
from streamapp.scheduler.lane import yield_to_frames
from streamapp.settings import Settings
from streamapp.sinks.result_log import ResultLog
from streamapp.sources.base import SourceState
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener

STREAM = "replay"


@dataclass(frozen=True, slots=True)
class Replayed:
    results: tuple[FrameResult, ...]
    conditions: Conditions
    unanswered: int = 0
    """Jobs that were dropped, as this machine had no time or room: what they would have said is missing."""


async def replay(
    clip: Clip,
    mode: Mode,
    settings: Settings,
    record: Record | None,
    at_work: AbstractAsyncContextManager[Models] | None = None,
) -> Replayed:
    """Runs a clip anew. record: what was decided before; if it is of a live session, the same frames are taken and the
    same is asked of the models, else the policy decides, for as many frames as there; at_work: the models, if not those
    of the settings.

    Raises UsageError if the record is of another clip, ModelError for models that are missing or cannot be loaded,
    SourceError for a clip that cannot be decoded."""
    log, failure = ResultLog(), None
    async with at_work or Models.start(settings) as models:
        conditions = await conditions_of(mode, models, settings)
        onlooker = _Onlooker(models, models.scheduler)
        try:
            await _run(clip, mode, settings, record, onlooker, lambda: open_screener(settings), log)
        except StreamappError as error:
            failure = error  # raised below, as a task group would wrap it
    if failure is not None:
        raise failure
    return Replayed(tuple(log.results), conditions)


async def replay_beside(
    models: Models,
    clip: Clip,
    settings: Settings,
    record: Record,
    make_screener: Callable[[], FaceScreener],
    log: ResultLog,
) -> Replayed:
    """As `replay`, with the models of a server at work, whose streams come first. Results are put into `log` as they
    come. Cancelling the call ends it."""

    def yielding_screener() -> FaceScreener:
        yield_to_frames()  # called on the thread that screens
        return make_screener()

    background = _Background(models.scheduler)
    conditions = await conditions_of(record.mode, models, settings)
    await _run(clip, record.mode, settings, record, _Onlooker(models, background), yielding_screener, log)
    return Replayed(tuple(log.results), conditions, background.dropped)


async def _run(
    clip: Clip,
    mode: Mode,
    settings: Settings,
    record: Record | None,
    models: _Onlooker,
    make_screener: Callable[[], FaceScreener],
    log: ResultLog,
) -> None:
    schedule = Schedule(record.results) if record is not None and record.is_live else None
    wanted = record.results if record is not None and record.is_live else None
    session = StreamSession(
        STREAM,
        lambda _: ClipSource(clip, STREAM, settings.sources, wanted),
        mode=mode,
        settings=settings,
        make_screener=make_screener,
        models=models,
        max_frames=None if record is None else len(record.results),
        lossless=True,
        schedule=schedule,
    )
    session.attach(log)
    await session.run()
    if session.status.state is SourceState.FAILED:
        raise SourceError(session.status.reason or f"{clip.path} cannot be read")
    if record is not None:
        _check_pictures(clip, record, log.results)


def _check_pictures(clip: Clip, record: Record, results: list[FrameResult]) -> None:
    """Raises UsageError if the results cannot be of the same pictures."""
    now = {result.frame: (result.width, result.height) for result in results}
    was = {result.frame: (result.width, result.height) for result in record.results if result.frame in now}
    if not was:
        raise UsageError(f"{clip.path} has none of the pictures of {record.name}: that is of another clip")
    if any(now[frame] != size for frame, size in was.items()):
        raise UsageError(f"the pictures of {clip.path} have another size than those of {record.name}")


class _Onlooker:
    """The models, for a stream that takes place a second time: whoever is in it was not seen today."""

    def __init__(self, models: Models, scheduler: Scheduler) -> None:
        self._models = models
        self._scheduler = scheduler
        self.vote_rules: VoteRules = models.vote_rules

    @property
    def examiner(self) -> Examiner:
        return Examiner(self._scheduler, self._models.lineup)

    async def require(self, mode: Mode) -> None:
        await self._models.require(mode)

    def name_of(self, person_id: UUID) -> str | None:
        return self._models.name_of(person_id)

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        return await self._models.search(probe)

    def note_seen(self, person_id: UUID) -> None:
        pass


class _Background:
    """A scheduler whose jobs come after all others."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.dropped = 0

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        outcome = await self._scheduler.submit(replace(job, priority=Priority.BACKGROUND))
        self.dropped += isinstance(outcome, Dropped)
        return outcome
