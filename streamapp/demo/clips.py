"""A clip that somebody handed in, analysed to its end: a stream like any other, that waits for every frame."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import av

from streamapp.demo.shelf import Item, Kind, Shelf
from streamapp.errors import ClipInvalid, NotFound
from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.runtime import Runtime
from streamapp.sinks.base import Inbox
from streamapp.sinks.json_lines import JsonLines
from streamapp.sinks.recorder import Recorder
from streamapp.sources.base import Pace, SourceState
from streamapp.sources.file import FORMATS, FileSource
from streamapp.zoo.lineup import systems_of
from streamapp.zoo.spec import Variant

REPORT_S = 0.4
STREAM_PREFIX = "demo-clip-"


@dataclass(frozen=True, slots=True)
class ClipProgress:
    """How far it is. `done`: 0 to 1, None where the file does not say how long it is."""

    frames: int
    at_s: float
    fps: float
    faces: int
    done: float | None


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """What came of it."""

    frames: int
    length_s: float
    tracks: int
    most_at_once: int
    was_cut: bool
    """Only the first part of it was analysed."""
    video: Item
    results: Item
    models: tuple[Variant, ...]


async def analyse(runtime: Runtime, shelf: Shelf, clip: Item, mode: Mode) -> AsyncIterator[ClipProgress | ClipOutcome]:
    """Progress every now and then, and last the outcome. Closing the iterator ends the analysis and leaves nothing.

    Raises ModelMissing, Overloaded, ClipInvalid for a file that cannot be read, and what the stream raised."""
    limit_s = runtime.settings.demo.max_clip_s
    length_s = await asyncio.to_thread(_length_s, clip.path)
    name = STREAM_PREFIX + secrets.token_hex(4)
    video, results = shelf.place(Kind.PAINTED_CLIP), shelf.place(Kind.RESULTS)
    with contextlib.ExitStack() as stack:
        for path in (video, results):
            stack.callback(path.unlink, missing_ok=True)
        file = stack.enter_context(results.open("w", encoding="utf-8"))
        recorder = Recorder(video, runtime.settings.recording, lossless=True)
        meter = _Meter(limit_s)
        session = runtime.open_stream(
            name,
            lambda numbering: FileSource(clip.path, numbering, runtime.settings.sources, pace=Pace.ASAP),
            mode=mode,
            description="a clip handed in on the demo page",
            lossless=True,
        )
        try:
            meter.session = session
            sinks = [session.attach(sink) for sink in (meter, recorder, JsonLines(file))]
            ended = asyncio.ensure_future(runtime.wait_closed(name))
            try:
                while not (await asyncio.wait((ended,), timeout=REPORT_S))[0]:
                    yield meter.progress(length_s)
            finally:
                ended.cancel()
            _raise_failure(session)
            for error in (sink.error for sink in sinks if sink.error is not None):
                raise error
        finally:
            with contextlib.suppress(NotFound):  # the app is ending
                await runtime.close_stream(name)
        file.close()
        if not session.frames:
            raise ClipInvalid("no picture of this file can be decoded")
        for path in recorder.paths[1:]:  # the picture changed its size: the first part is shown
            path.unlink()
        outcome = ClipOutcome(
            frames=session.frames,
            length_s=meter.at_s,
            tracks=len(meter.tracks),
            most_at_once=meter.most_at_once,
            was_cut=meter.was_cut,
            video=shelf.put(Kind.PAINTED_CLIP, video),
            results=shelf.put(Kind.RESULTS, results),
            models=tuple(v for system in systems_of(mode) for v in runtime.models.lineup.of_system(system)),
        )
        stack.pop_all()
        yield outcome


class _Meter:
    """A sink that counts, and ends the stream where it has become too long."""

    lossless = True

    def __init__(self, limit_s: float) -> None:
        self.session: StreamSession | None = None
        self.at_s = 0.0
        self.frames = self.faces = self.most_at_once = 0
        self.tracks: set[int] = set()
        self.was_cut = False
        self._limit_s = limit_s

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            result = output.result
            self.at_s = result.pts_s
            self.frames += 1
            self.faces = len(result.tracks)
            self.most_at_once = max(self.most_at_once, self.faces)
            self.tracks.update(track.id for track in result.tracks)
            if self.at_s >= self._limit_s and not self.was_cut:
                self.was_cut = True
                assert self.session is not None
                self.session.request_stop()

    def progress(self, length_s: float | None) -> ClipProgress:
        assert self.session is not None
        done = None if length_s is None else self.at_s / max(min(length_s, self._limit_s), 1e-3)
        return ClipProgress(self.frames, self.at_s, self.session.fps, self.faces, done)


def _length_s(path: Path) -> float | None:
    """What the file says of its length. Raises ClipInvalid if it is no video that can be read."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        with av.open(f"file:{path}", options=options) as container:
            if not container.streams.video:
                raise ClipInvalid("there is no video in this file")
            return None if container.duration is None else container.duration / av.time_base
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipInvalid("this is not a video that can be read; try MP4 or WebM") from error


def _raise_failure(session: StreamSession) -> None:
    if session.error is not None:
        raise session.error
    if session.status.state is SourceState.FAILED:  # its reason names a path of this machine
        raise ClipInvalid(f"the clip cannot be read ({session.status.code})")
