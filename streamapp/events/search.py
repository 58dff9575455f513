"""Which events are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.events.event import Event
from streamapp.results import IdentityState


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What is None or empty does not narrow it. Times are Unix time in seconds; `until` is not part of it."""

    since: float | None = None
    until: float | None = None
    person_id: UUID | None = None
    stream: str | None = None
    kinds: frozenset[EventKind] = frozenset()
    identities: frozenset[IdentityState] = frozenset()

    def matches(self, event: Event) -> bool:
        return (
            (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
            and (self.person_id is None or event.person_id == self.person_id)
            and (self.stream is None or event.stream == self.stream)
            and (not self.kinds or event.kind in self.kinds)
            and (not self.identities or event.identity in self.identities)
        )


@dataclass(frozen=True, slots=True)
class EventQuery:
    """At most `limit` events that match. With `after`: those noticed after that one, oldest first; else those noticed
    before `before`, or all, newest first."""

    filter: EventFilter = EventFilter()
    limit: int = 100
    before: UUID | None = None
    after: UUID | None = None
