"""What is replayed: a video file, or a recording's folder; and the frames of it that a session had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from streamapp.errors import UsageError
from streamapp.frame import Frame
from streamapp.recording.entry import ENTRY_FILE, RESULTS_FILE, RecordingEntry
from streamapp.results import DropReason, FrameResult
from streamapp.sections import SourceSettings
from streamapp.sources.base import EncodedPicture, FrameNumbering, Outlet, Pace
from streamapp.sources.file import FileSource

SAME_TIME_S = 0.0005
"""A picture is a result's if their times are this close: containers keep time in ticks."""


@dataclass(frozen=True, slots=True)
class ClipPart:
    """A video file. start_pts_s: the stream's time at the file's time 0; None: the first picture is at 0."""

    path: Path
    start_pts_s: float | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    path: Path
    parts: tuple[ClipPart, ...]
    sidecar: Path | None = None
    """The results that were recorded with it."""


def open_clip(path: Path) -> Clip:
    """Raises UsageError if that is neither a file nor a recording's folder, or the recording shows not what was
    analysed."""
    if not path.is_dir():
        if not path.is_file():
            raise UsageError(f"there is no clip {path}")
        return Clip(path, (ClipPart(path),))
    try:
        entry = RecordingEntry.model_validate_json((path / ENTRY_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} is not the folder of a recording: it has no {ENTRY_FILE} of ours") from error
    if entry.privacy:
        raise UsageError(f"the recording {path} cannot be replayed: faces in it are blurred (privacy mode)")
    parts = tuple(ClipPart(path / Path(part.file).name, part.start_pts_s) for part in entry.parts)
    if not parts or not all(part.path.is_file() for part in parts):
        raise UsageError(f"the recording {path} has no video")
    return Clip(path, parts, path / RESULTS_FILE)


class ClipSource:
    """Delivers every picture of a clip, or those of `wanted`, under the index and time they have there."""

    live = False

    def __init__(
        self, clip: Clip, stream: str, settings: SourceSettings, wanted: Sequence[FrameResult] | None = None
    ) -> None:
        self._clip = clip
        self._stream = stream
        self._settings = settings
        self._wanted = wanted

    async def run(self, outlet: Outlet) -> None:
        chosen = _Chosen(outlet, self._wanted)
        for part in self._clip.parts:
            numbering = FrameNumbering(self._stream) if part.start_pts_s is None else _PartNumbering(self._stream, part)
            await FileSource(part.path, numbering, self._settings, pace=Pace.ASAP).run(chosen)


class _PartNumbering(FrameNumbering):
    """Gives frames the time they had in the stream that was recorded."""

    def __init__(self, stream: str, part: ClipPart) -> None:
        super().__init__(stream)
        self._start_s = part.start_pts_s or 0.0

    def _rebased(self, source_pts_s: float) -> float:
        return round(self._start_s + source_pts_s, 6)


class _Chosen:
    """An outlet that passes on what is wanted, in its order."""

    def __init__(self, outlet: Outlet, wanted: Sequence[FrameResult] | None) -> None:
        self._outlet = outlet
        self._wanted = wanted
        self._next = 0

    def offer(self, frame: Frame) -> None:  # noqa: ARG002 - an Outlet's signature
        raise AssertionError("a clip is delivered, so that nothing is lost")

    async def deliver(self, frame: Frame) -> None:
        if self._wanted is None:
            await self._outlet.deliver(replace(frame, index=self._next))
            self._next += 1
            return
        while self._next < len(self._wanted) and self._wanted[self._next].pts_s < frame.pts_s - SAME_TIME_S:
            self._next += 1
        if self._next < len(self._wanted) and abs(self._wanted[self._next].pts_s - frame.pts_s) <= SAME_TIME_S:
            as_was = self._wanted[self._next]
            self._next += 1
            await self._outlet.deliver(replace(frame, index=as_was.frame, pts_s=as_was.pts_s))

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        self._outlet.count_drop(reason, count)

    def connected(self) -> None:
        self._outlet.connected()

    @property
    def wants_encoded(self) -> bool:
        return False

    @property
    def wants_iframe(self) -> bool:
        return False

    def offer_encoded(self, picture: EncodedPicture) -> None:
        self._outlet.offer_encoded(picture)
