"""Events of several workers are numbered as those of one app."""

from __future__ import annotations

from uuid import UUID

from streamapp.choices import EventKind
from streamapp.events.event import Because, Event, EventIds
from streamapp.workers.visits import WorkerVisits

AT = 1_800_000_000.0


class Worker:
    """Makes events as a worker does, by a clock of its own."""

    def __init__(self, clock_s: float) -> None:
        self._make_id = EventIds(lambda: clock_s)

    def appeared(self, track: int = 1) -> Event:
        number = self._make_id()
        return Event(number, EventKind.APPEARED, "door", AT, visit=number, track=track)

    def of(self, visit: Event, kind: EventKind) -> Event:
        return Event(self._make_id(), kind, "door", AT, visit=visit.id, track=visit.track)


def test_ids_grow_in_the_order_in_which_events_are_told_whatever_the_workers_clocks_say() -> None:
    new_id = EventIds(lambda: AT)
    ahead, behind = WorkerVisits(new_id), WorkerVisits(new_id)
    fast, slow = Worker(AT + 60), Worker(AT - 60)
    told: list[UUID] = []
    for _ in range(3):
        told += [ahead.renumbered(fast.appeared()).id, behind.renumbered(slow.appeared()).id]
    assert told == sorted(set(told))


def test_a_visit_keeps_its_id_until_it_ends() -> None:
    visits, worker = WorkerVisits(EventIds(lambda: AT)), Worker(AT)
    appeared = worker.appeared()
    told = visits.renumbered(appeared)
    assert told.visit == told.id != appeared.id
    for kind in (EventKind.IDENTIFIED, EventKind.LEFT):
        assert visits.renumbered(worker.of(appeared, kind)).visit == told.id
    assert visits.lost(AT) == []


def test_events_without_a_visit_have_none() -> None:
    visits = WorkerVisits(EventIds(lambda: AT))
    event = Event(EventIds(lambda: AT)(), EventKind.STREAM_LOST, "door", AT, because="source_timeout")
    told = visits.renumbered(event)
    assert (told.visit, told.kind, told.because) == (None, EventKind.STREAM_LOST, "source_timeout")


def test_a_worker_that_is_gone_ends_its_visits_once() -> None:
    visits, worker = WorkerVisits(EventIds(lambda: AT)), Worker(AT)
    stays, leaves = worker.appeared(track=1), worker.appeared(track=2)
    told = visits.renumbered(stays)
    visits.renumbered(leaves)
    visits.renumbered(worker.of(leaves, EventKind.LEFT))
    (ended,) = visits.lost(AT + 5)
    assert (ended.kind, ended.visit, ended.track, ended.at) == (EventKind.LEFT, told.id, 1, AT + 5)
    assert ended.because == Because.STREAM_LOST
    assert ended.id > told.id
    assert visits.lost(AT + 6) == []
