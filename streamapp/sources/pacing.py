"""When each picture of a recording is due, so that it plays like a live source. Pure: time comes in as an argument."""

from __future__ import annotations


class Pacer:
    """Maps presentation times to `time.monotonic()`. The picture after a gap in the recording's clock (backwards, or
    ahead by over `MAX_JUMP_S`) comes one picture interval after the one before it, as `FrameNumbering` numbers it."""

    MAX_JUMP_S = 10.0
    INTERVAL_S = 0.04
    MAX_LATE_S = 1.0
    """A reader later than this (slow disk, suspended process) goes on from now instead of racing to catch up."""

    def __init__(self) -> None:
        self._due_s: float | None = None
        self._pts_s: float | None = None

    def restart(self) -> None:
        """The recording begins anew: its next picture follows on from the last one."""
        self._pts_s = None

    def due_s(self, pts_s: float, now_s: float) -> float:
        """The time at which the next picture, shown at `pts_s`, is to be handed on."""
        if self._due_s is None:
            due_s = now_s
        elif self._pts_s is None or not self._pts_s <= pts_s <= self._pts_s + self.MAX_JUMP_S:
            due_s = self._due_s + self.INTERVAL_S
        else:
            due_s = self._due_s + (pts_s - self._pts_s)
        if now_s > due_s + self.MAX_LATE_S:
            due_s = now_s
        self._due_s, self._pts_s = due_s, pts_s
        return due_s
