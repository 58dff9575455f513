"""Live sessions whose results are kept, for tests that replay them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from streamapp.errors import ModelError
from streamapp.faces import Mode
from streamapp.gallery_settings import GallerySettings
from streamapp.models import Models
from streamapp.pipeline.session import StreamSession
from streamapp.replay.differences import decision
from streamapp.replay.golden import Record
from streamapp.results import DropReason, FrameResult
from streamapp.scheduler.api import Dropped, Failed, Item, Job, Outcome, Scheduler, Value
from streamapp.sections import ModelSettings, SchedulerSettings
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox
from streamapp.sources.base import FrameNumbering, Source
from streamapp.zoo.registry import open_screener
from tests.replay.results_made import result


def settings_of(folder: Path, *, lanes: int | None = None) -> Settings:
    """With the weights of `folder`, and a gallery of nobody."""
    return Settings(
        models=ModelSettings(dir=folder),
        scheduler=SchedulerSettings(lanes=lanes),
        gallery=GallerySettings(file=folder / "gallery.db", key_file=folder / "gallery.key"),
    )


class ForgetfulScheduler:
    """Ends every fourth job without an answer: now as late, now as failed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._jobs = 0

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        self._jobs += 1
        if self._jobs % 8 == 3:
            return Dropped(DropReason.STALE, "late")
        if self._jobs % 8 == 7:
            return Failed(ModelError("broken"))
        return await self._scheduler.submit(job)


class SlowReader:
    """A sink that keeps the results and takes its time, so that frames are dropped."""

    lossless = True

    def __init__(self, pause_s: float) -> None:
        self.results: list[FrameResult] = []
        self._pause_s = pause_s

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            self.results.append(output.result)
            await asyncio.sleep(self._pause_s)


async def went_live(
    make_source: Callable[[FrameNumbering], Source],
    settings: Settings,
    mode: Mode,
    *,
    max_frames: int,
    pause_s: float,
    forgetful: bool = False,
) -> list[FrameResult]:
    """The results of a stream that nobody waits for."""
    sink = SlowReader(pause_s)
    async with Models.start(settings) as models:
        if forgetful:
            models.scheduler = ForgetfulScheduler(models.scheduler)  # type: ignore[assignment]  # only submit is used
        session = StreamSession(
            "live",
            make_source,
            mode=mode,
            settings=settings,
            make_screener=lambda: open_screener(settings),
            models=models,
            max_frames=max_frames,
        )
        session.attach(sink)
        await session.run()
    return sink.results


def record_of(results: tuple[FrameResult, ...], *, is_live: bool = False) -> Record:
    return Record("before", results, None, None, is_live)


def frames_of(count: int) -> Record:
    """Of a run that saw so many."""
    return record_of(tuple(map(result, range(count))))


def decisions(results: list[FrameResult] | tuple[FrameResult, ...]) -> list[str]:
    return [decision(one) for one in results]


def write_results(path: Path, results: list[FrameResult], *, header: str = "") -> Path:
    """As `run --json` does, or a recording's sidecar if there is a header."""
    path.write_text("".join(line + "\n" for line in ([header] if header else []) + [r.to_json() for r in results]))
    return path
