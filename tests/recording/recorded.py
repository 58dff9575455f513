"""A stream recorded as a server would, and what is in the files compared with what was analysed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import av
import numpy as np

from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.recording.entry import RESULTS_FILE, RecordingEntry, RecordingHeader
from streamapp.recording.recordings import Recordings
from streamapp.recording.sidecar import read_header, read_results
from streamapp.results import FrameResult
from streamapp.runtime import Runtime
from streamapp.sections import RecordingSettings, SourceSettings
from streamapp.settings import Settings
from streamapp.sinks.base import Output
from streamapp.sources.base import FrameNumbering, Source
from tests.fakes import CollectingSink, ScriptedScreener
from tests.waiting import until

FACE = (10.0, 10.0, 60.0, 60.0)


def settings_for(folder: Path, **recording: object) -> Settings:
    chosen = {"dir": folder / "recordings", "min_free_bytes": 0, **recording}
    return Settings(
        recording=RecordingSettings.model_validate(chosen),
        sources=SourceSettings(backoff_s=(0.1,), backoff_jitter=0, read_timeout_s=1),
    )


def header(stream: str = "cam") -> RecordingHeader:
    return RecordingHeader(id=uuid4(), app_version="1", stream=stream, source="test", mode=Mode.FAST, started_at=1e9)


@dataclass
class RecordedStream:
    """A stream at work whose outputs are kept beside its recording."""

    session: StreamSession
    recordings: Recordings
    settings: Settings
    sink: CollectingSink

    async def start(self) -> RecordingEntry:
        return await self.recordings.start(self.session, header(self.session.name))

    async def until_seconds(self, seconds: float, timeout_s: float = 60.0) -> None:
        """Waits until so much video was written."""

        def written() -> bool:
            entry = self.recordings.active.values()
            return any(one.seconds >= seconds for one in entry)

        await until(written, timeout_s)

    def folder(self, entry: RecordingEntry) -> Path:
        return self.settings.recording.dir / str(entry.id)


@asynccontextmanager
async def streaming(
    folder: Path,
    make_source: Callable[[FrameNumbering], Source],
    *,
    gate: threading.Event | None = None,
    **recording: object,
) -> AsyncIterator[RecordedStream]:
    """gate: each frame's screening waits for it."""
    settings = settings_for(folder, **recording)
    async with Runtime.start(settings, lambda: ScriptedScreener([[FACE]], gate=gate)) as runtime:
        session = runtime.open_stream("cam", make_source, mode=Mode.FAST)
        sink = CollectingSink()
        session.attach(sink)
        yield RecordedStream(session, runtime.recordings, settings, sink)


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def results_in(folder: Path) -> list[FrameResult]:
    return list(read_results(folder / RESULTS_FILE))


def pictures_by_time(folder: Path, entry: RecordingEntry) -> list[tuple[float, av.VideoFrame]]:
    """Every picture of every part with its time in the stream."""
    return [
        (part.start_pts_s + picture.time, picture)
        for part in entry.parts
        for picture in decoded(folder / part.file)
        if picture.time is not None
    ]


def check_each_result_has_its_picture(
    folder: Path,
    outputs: list[Output],
    *,
    max_error: float = 0.0,
    fps: float = 30,
    entry: RecordingEntry | None = None,
) -> int:
    """Finds each result's picture by time, within half a frame, and compares it with the picture that was analysed:
    mean difference of RGB at most `max_error`. entry: where the folder could not be told. Returns how many there are.
    """
    entry = entry or RecordingEntry.load(folder)
    begun = read_header(folder / RESULTS_FILE)
    assert (begun.id, begun.start_pts_s) == (entry.id, entry.parts[0].start_pts_s)
    pictures = pictures_by_time(folder, entry)
    times_s = np.array([time_s for time_s, _ in pictures])
    analysed = {output.result.frame: output for output in outputs}
    results = results_in(folder)
    assert len(results) == entry.results > 0
    for result in results:
        nearest = int(np.argmin(np.abs(times_s - result.pts_s)))
        assert abs(times_s[nearest] - result.pts_s) < 0.5 / fps, result
        seen = analysed[result.frame].frame.video
        shown = pictures[nearest][1]
        assert (shown.width, shown.height) == (result.width, result.height)
        difference = np.abs(_rgb(shown) - _rgb(seen)).mean()
        assert difference <= max_error, (result.frame, difference)
    return len(results)


def _rgb(picture: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return picture.to_ndarray(format="rgb24").astype(np.int16)
