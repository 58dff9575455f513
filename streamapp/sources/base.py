"""What a source is: a `run` that delivers frames until it ends or raises. Retrying lives in `supervise` alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import av

from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.encoded import EncodedPicture as EncodedPicture


class Pace(StrEnum):
    """How a recording is read. Live sources have only their own pace."""

    REALTIME = "realtime"
    """At its own speed, latest frame wins."""
    ASAP = "asap"
    """As fast as its frames are taken, none lost."""


class SourceState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    """Lost; `reason` says why and `retry_in_s` when the next try is."""
    ENDED = "ended"
    """It was finite and is over."""
    FAILED = "failed"
    """Trying again cannot help."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's state as shown to people. `code` and `reason` say why it is not live; secrets are redacted."""

    state: SourceState
    since: float
    """Unix time in seconds since which it is in this state."""
    code: str | None = None
    reason: str | None = None
    attempt: int = 0
    """Tries since it was last live."""
    retry_in_s: float | None = None


class Outlet(Protocol):
    """Where a source puts what it has. All methods are called on the event loop's thread."""

    def offer(self, frame: Frame) -> None:
        """For live sources: takes the frame at once; an older one still waiting is dropped and counted."""

    async def deliver(self, frame: Frame) -> None:
        """For recorded sources: waits until there is room, so that no frame is lost."""

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        """Counts pictures that were lost before they became frames."""

    def connected(self) -> None:
        """The source is live. Called on the first picture after each (re)connection."""

    @property
    def wants_encoded(self) -> bool:
        """Whether somebody wants the coded pictures too. May change at any time; read from any thread."""

    @property
    def wants_iframe(self) -> bool:
        """Whether somebody cannot begin before the next I-frame. For sources that can ask their sender for one."""

    def offer_encoded(self, picture: EncodedPicture) -> None:
        """Hands on a coded picture. Never blocks."""


class Source(Protocol):
    """One opened-or-not source of pictures."""

    @property
    def live(self) -> bool:
        """Live sources never wait for anybody and are reopened when lost; others are read once."""

    async def run(self, outlet: Outlet) -> None:
        """Opens the source and delivers until it ends. Returns at the end of a recording; raises SourceError when a
        live source is lost or nothing can be opened; on cancellation frees everything within 2 s."""


class FrameNumbering:
    """Gives a stream's frames their index and time. One per stream; it outlives reconnects of the source, so that
    indices and times keep increasing. Used by one thread at a time."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._next_index = 0
        self._last_pts_s = -1.0
        self._offset_s: float | None = None

    MAX_JUMP_S = 10.0

    @property
    def stream(self) -> str:
        return self._stream

    def restart(self) -> None:
        """The source begins anew (reconnect, loop): its next timestamp follows on from the last one given."""
        self._offset_s = None

    def frame(
        self,
        video: av.VideoFrame,
        source_pts_s: float,
        *,
        arrived_s: float,
        captured_at: float | None = None,
        rtp_timestamp: int | None = None,
        codec: str | None = None,
    ) -> Frame:
        """Makes the next frame. A jump of the source's clock (backwards, or ahead by over 10 s) is taken out."""
        index = self._next_index
        pts_s = self.skip(source_pts_s)
        decoded_s = time.monotonic()
        if captured_at is None:
            captured_at = time.time() - (decoded_s - arrived_s)
        return Frame(self._stream, index, pts_s, captured_at, arrived_s, decoded_s, video, rtp_timestamp, codec)

    def skip(self, source_pts_s: float) -> float:
        """Counts a picture of which there will be no frame. Returns the `pts_s` it would have had."""
        self._next_index += 1
        return self._rebased(source_pts_s)

    def _rebased(self, source_pts_s: float) -> float:
        previous = self._last_pts_s
        if self._offset_s is None:
            self._offset_s = (0.0 if previous < 0 else previous + 0.04) - source_pts_s
        pts_s = round(source_pts_s + self._offset_s, 6)
        if previous >= 0 and not previous < pts_s <= previous + self.MAX_JUMP_S:
            self._offset_s = previous + 0.001 - source_pts_s
            pts_s = round(previous + 0.001, 6)
        self._last_pts_s = pts_s
        return pts_s
