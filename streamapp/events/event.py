"""One thing that happened on a stream, and what identifies it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.results import IdentityState

MakeId = Callable[[], UUID]

_COUNTER_BITS = 12
_RANDOM_BITS = 62


class Because(StrEnum):
    """Why a visit is over."""

    GONE = "gone"
    """Not seen for `events.gone_s`."""
    STREAM_LOST = "stream_lost"
    STREAM_ENDED = "stream_ended"
    SAME_PERSON = "same_person"
    """It proved to be the person of another visit who was lost from sight; that visit goes on."""


@dataclass(frozen=True, slots=True)
class Event:
    """id: sorts by the time it was noticed. at: Unix time in seconds, by this machine's clock, at which it happened.

    A visit is one stay of one face in front of a camera; its id is that of its APPEARED event. Names are not in here:
    they are looked up when an event is told.
    """

    id: UUID
    kind: EventKind
    stream: str
    at: float
    visit: UUID | None = None
    track: int | None = None
    frame: int | None = None
    pts_s: float | None = None
    person_id: UUID | None = None
    because: str | None = None
    """LEFT: a Because. STREAM_LOST: the code of the error, if there was one."""
    score: float | None = None
    """SPOOF_SUSPECTED: how much it looks like a living person, 0 to 1. IDENTIFIED: the similarity."""
    duration_s: float | None = None
    """LEFT: how long the visit was, in the stream's time. STREAM_RECOVERED: how long the stream was lost."""
    identity: IdentityState | None = None
    """LEFT: what was known of who it was when it was last seen; None where it was compared with nobody."""


class EventIds:
    """Makes ids that only grow: UUID version 7 (RFC 9562 section 5.7) with a counter (section 6.2, method 1), also if
    the clock goes back.

    clock: Unix time in seconds. after: the greatest id of earlier runs.
    """

    def __init__(self, clock: Callable[[], float], after: UUID | None = None) -> None:
        self._clock = clock
        self._ms, self._count = (0, 0) if after is None else (after.int >> 80, (after.int >> 64) & 0xFFF)

    def __call__(self) -> UUID:
        ms = int(self._clock() * 1000)
        if ms > self._ms:
            self._ms, self._count = ms, 0
        else:
            self._count += 1
            if self._count >> _COUNTER_BITS:
                self._ms, self._count = self._ms + 1, 0
        value = self._ms << 80 | 7 << 76 | self._count << 64 | 2 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        return UUID(int=value)
