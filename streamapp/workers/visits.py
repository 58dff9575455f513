"""The events of one worker, numbered as those of the whole app: ids grow in the order in which they are told, and a
worker that is gone ends its visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.events.event import Because, Event


@dataclass(frozen=True, slots=True)
class _Visit:
    id: UUID
    stream: str
    track: int | None


class WorkerVisits:
    """new_id: makes ids, each greater than all before."""

    def __init__(self, new_id: Callable[[], UUID]) -> None:
        self._new_id = new_id
        self._open: dict[UUID, _Visit] = {}
        """By the id that the worker gave them."""

    def renumbered(self, event: Event) -> Event:
        """As it is told to everybody else."""
        new_id = self._new_id()
        if event.visit is None:
            return replace(event, id=new_id)
        if event.kind is EventKind.APPEARED:
            self._open[event.visit] = _Visit(new_id, event.stream, event.track)
            return replace(event, id=new_id, visit=new_id)
        ended = event.kind is EventKind.LEFT
        visit = self._open.pop(event.visit, None) if ended else self._open.get(event.visit)
        return replace(event, id=new_id, visit=None if visit is None else visit.id)

    def lost(self, at: float) -> list[Event]:
        """The worker is gone: nobody can say whether those who were there still are. at: Unix time in seconds."""
        gone, self._open = self._open, {}
        return [
            Event(
                self._new_id(),
                EventKind.LEFT,
                visit.stream,
                at,
                visit=visit.id,
                track=visit.track,
                because=Because.STREAM_LOST,
            )
            for visit in gone.values()
        ]
