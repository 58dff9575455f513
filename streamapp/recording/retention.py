"""Which recordings are to go, by age and by size. The wall clock may jump without one being deleted too early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from streamapp.recording.entry import RecordingEntry
from streamapp.sections import RecordingSettings

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class _Seen:
    age_s: float
    at_s: float
    """`monotonic` when it had that age."""


class Ages:
    """How old recordings are. What a clock said when this process first saw a recording counts from there on by a clock
    that does not jump; a wall clock set back since then makes it younger, one set ahead not older."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._seen: dict[UUID, _Seen] = {}

    def age_s(self, entry: RecordingEntry) -> float:
        """Seconds since the recording ended."""
        assert entry.ended_at is not None
        wall_age_s = self._wall() - entry.ended_at
        now_s = self._monotonic()
        seen = self._seen.setdefault(entry.id, _Seen(max(0.0, wall_age_s), now_s))
        age_s = seen.age_s + now_s - seen.at_s
        return min(age_s, wall_age_s) if wall_age_s >= 0 else age_s

    def forget_all_but(self, entries: Sequence[RecordingEntry]) -> None:
        kept = {entry.id for entry in entries}
        self._seen = {known: seen for known, seen in self._seen.items() if known in kept}


def expired(entries: Sequence[RecordingEntry], ages: Ages, settings: RecordingSettings) -> list[RecordingEntry]:
    """What is too old, and of the rest, oldest first, what is too much. Never one that is being written, whose bytes
    count all the same."""
    ages.forget_all_but(entries)
    aged = {entry.id: ages.age_s(entry) for entry in entries if entry.ended_at is not None}
    by_age = sorted((entry for entry in entries if entry.id in aged), key=lambda entry: aged[entry.id], reverse=True)
    total_bytes = sum(entry.bytes for entry in entries)
    going: list[RecordingEntry] = []
    for entry in by_age:
        is_old = settings.max_age_days is not None and aged[entry.id] > settings.max_age_days * DAY_S
        is_too_much = settings.max_bytes is not None and total_bytes > settings.max_bytes
        if is_old or is_too_much:
            going.append(entry)
            total_bytes -= entry.bytes
    return going
