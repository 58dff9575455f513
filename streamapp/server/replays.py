"""Recordings decided again beside the streams: one at a time, after everything else, and what came out differently."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field

from streamapp.errors import Conflict, NotFound, StreamappError, UsageError
from streamapp.log import redact
from streamapp.recording.entry import RecordingEntry
from streamapp.replay.clip import open_clip
from streamapp.replay.golden import Record, read_record
from streamapp.replay.report import Report, shown
from streamapp.replay.run import Replayed, replay_beside
from streamapp.runtime import Runtime
from streamapp.sinks.result_log import ResultLog

_log = logging.getLogger(__name__)

MAX_RESULTS = 20_000
"""Of a recording that can be replayed here: its results are all in memory meanwhile, twice."""
MAX_DIFFERENCES = 1000
"""That are told one by one; all are counted."""
MAX_KEPT = 4
"""Replays whose outcome is known."""


class ReplayState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class DifferenceInfo(BaseModel):
    """A field that was something else when it was recorded."""

    frame: int
    pts_s: float | None = Field(description="The time of that frame in the stream; null if it is not in the recording.")
    track: int | None = Field(description="null: of the frame itself.")
    field: str = Field(
        description="As a path: liveness.state. Of a whole frame or track that one side lacks: result, track."
    )
    was: str = Field(description="As text, cut where it is long; `null` where there was nothing.")
    now: str


class ReplayReport(BaseModel):
    """A replay, at work or over."""

    recording: UUID
    state: ReplayState
    frames: int = Field(description="Decided so far.")
    total: int = Field(description="Of the recording.")
    code: str | None = Field(None, description="failed: of the error.")
    reason: str | None = Field(None, description="failed: what went wrong.")
    as_scheduled: bool | None = Field(None, description="Whether the session's own schedule was followed.")
    warnings: list[str] = Field([], description="What is not as it was when it was recorded.")
    differences: list[DifferenceInfo] = Field([], description=f"The first {MAX_DIFFERENCES}, by frame.")
    different_frames: int = 0
    by_field: dict[str, int] = Field({}, description="How many differences there are of each field; all are counted.")


@dataclass(slots=True, eq=False)
class _Replay:
    entry: RecordingEntry
    log: ResultLog = field(default_factory=ResultLog)
    outcome: ReplayReport | None = None
    task: asyncio.Task[None] | None = None

    @property
    def report(self) -> ReplayReport:
        return self.outcome or self.told(ReplayState.RUNNING)

    def told(self, state: ReplayState, code: str | None = None, reason: str | None = None) -> ReplayReport:
        frames, total = len(self.log.results), self.entry.results
        return ReplayReport(recording=self.entry.id, state=state, frames=frames, total=total, code=code, reason=reason)


class Replays:
    """Used on the event loop's thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._replays: dict[str, _Replay] = {}

    async def begin(self, recording: str) -> ReplayReport:
        """Begins to replay a recording, anew if it was before. Raises NotFound; Conflict while it is being written or
        another replay is at work; UsageError if it is too long."""
        await self._runtime.recordings.results(recording)
        entry = await self._runtime.recordings.entry(recording)
        if entry.results > MAX_RESULTS:
            raise UsageError(
                f"it has {entry.results} results, and {MAX_RESULTS} are the limit here; stop the server and run "
                f"`streamapp replay` with {self._runtime.settings.recording.dir / recording}"
            )
        running = next((replay for replay in self._replays.values() if replay.outcome is None), None)
        if running is not None:
            raise Conflict(f"a recording of {running.entry.stream} is being replayed; wait for that, or stop it")
        self._replays.pop(recording, None)
        while len(self._replays) >= MAX_KEPT:
            del self._replays[next(iter(self._replays))]
        replay = self._replays[recording] = _Replay(entry)
        replay.task = self._runtime.begin(self._run(replay), f"replay:{recording}")
        return replay.report

    async def report(self, recording: str) -> ReplayReport:
        """How far it is, or what it found. Raises NotFound, also for a recording that is not there any more."""
        await self._runtime.recordings.entry(recording)
        if recording not in self._replays:
            raise NotFound("this recording was not replayed since the server started")
        return self._replays[recording].report

    def forget(self, recording: str) -> None:
        """Ends the replay of a recording, if there is one, and forgets it."""
        replay = self._replays.pop(recording, None)
        if replay is not None and replay.task is not None:
            replay.task.cancel()

    async def _run(self, replay: _Replay) -> None:
        try:
            replay.outcome = await self._compared(replay)
        except StreamappError as error:
            replay.outcome = replay.told(ReplayState.FAILED, error.code, redact(str(error)))
        except Exception:  # noqa: BLE001 - supervisor: whatever happens to a replay, the streams go on
            _log.exception("the replay of recording %s failed", replay.entry.id)
            reason = "something unexpected happened; the log says what"
            replay.outcome = replay.told(ReplayState.FAILED, StreamappError.code, reason)
        finally:
            replay.log = ResultLog()

    async def _compared(self, replay: _Replay) -> ReplayReport:
        runtime = self._runtime
        sidecar = await runtime.recordings.results(str(replay.entry.id))
        clip = await asyncio.to_thread(open_clip, sidecar.parent)
        record = await asyncio.to_thread(read_record, sidecar)
        replayed = await replay_beside(
            runtime.models, clip, runtime.settings, record, runtime.make_screener, replay.log
        )
        return await asyncio.to_thread(_report, replay.entry.id, record, replayed)


def _report(recording: UUID, record: Record, replayed: Replayed) -> ReplayReport:
    found = Report.of(str(recording), record, replayed)
    times_s = {result.frame: result.pts_s for result in record.results}
    return ReplayReport(
        recording=recording,
        state=ReplayState.DONE,
        frames=found.frames,
        total=found.frames,
        as_scheduled=found.as_scheduled,
        warnings=list(found.warnings),
        differences=[
            DifferenceInfo(
                frame=one.frame,
                pts_s=times_s.get(one.frame),
                track=one.track,
                field=one.field,
                was=shown(one.was),
                now=shown(one.now),
            )
            for one in found.differences[:MAX_DIFFERENCES]
        ],
        different_frames=len({one.frame for one in found.differences}),
        by_field=found.by_field,
    )
