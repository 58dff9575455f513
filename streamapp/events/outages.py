"""When a stream that was live is lost, and when it is back, told once each although connections flap."""

from __future__ import annotations

from dataclasses import dataclass

from streamapp.choices import EventKind
from streamapp.events.event import Event, MakeId
from streamapp.sources.base import SourceState, SourceStatus

_TRYING = (SourceState.CONNECTING, SourceState.RECONNECTING)


@dataclass(slots=True)
class _Outage:
    since_s: float
    at: float
    code: str | None


class OutageRules:
    """The outages of one stream. Knows no clock: `now_s` is monotonic, in seconds.

    A stream that never was live cannot be lost; one that came to its end, or was closed, is not lost.
    lost_s, recovered_s: so long it must be away, or back, before that is told.
    """

    def __init__(self, stream: str, lost_s: float, recovered_s: float, make_id: MakeId) -> None:
        self._stream = stream
        self._lost_s = lost_s
        self._recovered_s = recovered_s
        self._make_id = make_id
        self._was_live = False
        self._outage: _Outage | None = None
        self._is_told = False
        self._back: tuple[float, float] | None = None
        """Since when it is live again: monotonic, and Unix time."""

    def change(self, status: SourceStatus, now_s: float) -> list[Event]:
        """The source's state has changed."""
        if status.state is SourceState.LIVE:
            self._was_live = True
            if self._is_told:
                self._back = self._back or (now_s, status.since)
            else:
                self._outage = None
            return []
        self._back = None
        if not self._was_live or (self._is_told and self._outage is not None):
            return []
        if status.state is SourceState.FAILED:
            self._outage = self._outage or _Outage(now_s, status.since, status.code)
            return self._lost(self._outage)
        if status.state in _TRYING:
            self._outage = self._outage or _Outage(now_s, status.since, status.code)
            return self.check(now_s)
        self._outage = None  # ended or closed
        return []

    def check(self, now_s: float) -> list[Event]:
        """What time alone makes known. For calling now and then."""
        outage = self._outage
        if outage is None:
            return []
        if not self._is_told:
            return self._lost(outage) if now_s - outage.since_s >= self._lost_s else []
        if self._back is None or now_s - self._back[0] < self._recovered_s:
            return []
        away_s = self._back[0] - outage.since_s
        at = self._back[1]
        self._outage, self._is_told, self._back = None, False, None
        return [Event(self._make_id(), EventKind.STREAM_RECOVERED, self._stream, at, duration_s=away_s)]

    def _lost(self, outage: _Outage) -> list[Event]:
        self._is_told = True
        return [Event(self._make_id(), EventKind.STREAM_LOST, self._stream, outage.at, because=outage.code)]
