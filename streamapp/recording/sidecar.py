"""The results beside a recorded video: JSON Lines, a header and then one FrameResult per picture that has one.

People are in it by their id in the gallery, not by name: who is erased there has no name in any recording."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from streamapp.errors import RecordingFailed
from streamapp.gallery.people import NameOf
from streamapp.recording.entry import RESULTS_FILE, RecordingHeader, SidecarHead
from streamapp.recording.names import nameless, renamed
from streamapp.results import FrameResult, IdentityState

_UNITS_PER_S = 100_000
_IDENTIFIED = f'"state":"{IdentityState.IDENTIFIED}"'.encode()


class SidecarWriter:
    """Appends lines to a new file and holds a lock on it as long as it is open, so that others see it at work. A line
    goes out once its picture is in the video; results wait for their pictures at most `MAX_WAIT_S` of the stream."""

    MAX_WAIT_S = 1.0
    MAX_WAITING = 600

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND
        self._descriptor = os.open(folder / RESULTS_FILE, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self.lines = 0
        self.size = 0
        self.without_picture = 0
        self._pictures: dict[int, None] = {}
        self._waiting: deque[FrameResult] = deque()
        self._first_pts_s = self._newest_pts_s = float("nan")

    def begin(self, header: RecordingHeader) -> None:
        self._append(SidecarHead(recording=header).model_dump_json() + "\n")

    def add_picture(self, pts_s: float) -> None:
        """A picture is in the video."""
        if not self._pictures and self._newest_pts_s != self._newest_pts_s:
            self._first_pts_s = self._newest_pts_s = pts_s
        self._newest_pts_s = max(self._newest_pts_s, pts_s)
        self._pictures[_units(pts_s)] = None

    def add_result(self, result: FrameResult) -> None:
        if len(self._waiting) >= self.MAX_WAITING:
            self._waiting.popleft()
            self.without_picture += 1
        self._waiting.append(result)

    def write(self, *, patience_s: float = MAX_WAIT_S) -> None:
        """Writes what can be written by now, in the order of the frames. Raises OSError."""
        lines: list[str] = []
        while self._waiting:
            result = self._waiting[0]
            if self._take_picture(result.pts_s):
                lines.append(nameless(result).to_json())
            elif not result.pts_s < self._first_pts_s:  # those before the first picture have none for sure
                if not self._newest_pts_s > result.pts_s + patience_s:
                    break
                self.without_picture += 1
            self._waiting.popleft()
        if lines:
            self._append("\n".join(lines) + "\n")
            self.lines += len(lines)
        for units in list(self._pictures):
            if units > (self._newest_pts_s - 2 * self.MAX_WAIT_S) * _UNITS_PER_S:
                break
            del self._pictures[units]

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> tuple[FrameResult, ...]:
        """Writes what has its picture; returns what has none yet: it belongs to what comes after. Raises OSError."""
        if self._descriptor < 0:
            return ()
        try:
            self.write(patience_s=0.0)
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        return tuple(self._waiting)

    def _take_picture(self, pts_s: float) -> bool:
        units = _units(pts_s)
        for near in (units, units - 1, units + 1):  # rounded apart
            if near in self._pictures:
                del self._pictures[near]
                return True
        return False

    def _append(self, text: str) -> None:
        data = text.encode()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self.size)  # no half line is left
            raise
        self.size += len(data)


def _units(pts_s: float) -> int:
    return round(pts_s * _UNITS_PER_S)


def is_at_work(folder: Path) -> bool:
    """Whether somebody writes this recording now. Raises OSError."""
    try:
        descriptor = os.open(folder / RESULTS_FILE, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_results(path: Path) -> Iterator[FrameResult]:
    """The results of a sidecar, one after the other; a half line at its end is left out. Raises RecordingFailed if it
    is not a sidecar."""
    for line in _whole_lines(path, skip=1):
        try:
            yield FrameResult.from_json(line)
        except ValidationError as error:
            raise RecordingFailed(f"{path} has a line that is no result") from error


def named_lines(path: Path, name_of: NameOf) -> Iterator[bytes]:
    """The lines of a sidecar, with the names of those who are still in the gallery."""
    for index, line in enumerate(_whole_lines(path)):
        if index > 0 and _IDENTIFIED in line:
            yield renamed(FrameResult.from_json(line), name_of).to_json().encode() + b"\n"
        else:
            yield line


def read_header(path: Path) -> RecordingHeader:
    """Raises RecordingFailed if it is not a sidecar."""
    line = next(_whole_lines(path), b"")
    try:
        return SidecarHead.model_validate_json(line).recording
    except ValidationError as error:
        raise RecordingFailed(f"{path} does not begin with the header of a recording") from error


def cut_off(path: Path, whole_s: float, times_s: Sequence[float]) -> int:
    """Takes from a sidecar what a kill left over: a half line, and everything from the first result later than
    `whole_s` that none of the pictures at `times_s` is of. Returns the number of results. Raises OSError,
    ValueError."""
    shown = {_units(time_s) for time_s in times_s}
    rounding = _UNITS_PER_S // 2000  # WebM's times are whole milliseconds
    kept = results = 0
    for index, line in enumerate(_whole_lines(path)):
        units = 0 if index == 0 else _units(FrameResult.from_json(line).pts_s)
        near = range(units - rounding - 1, units + rounding + 2)
        if index > 0 and units > whole_s * _UNITS_PER_S + 1 and shown.isdisjoint(near):
            break
        kept += len(line)
        results += index > 0
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.truncate(kept)
    return results


def _whole_lines(path: Path, skip: int = 0) -> Iterator[bytes]:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        for index, line in enumerate(file):
            if index >= skip and line.endswith(b"\n"):
                yield line
