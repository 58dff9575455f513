"""A stream's results and states become events, by this machine's clock."""

from __future__ import annotations

import asyncio

from streamapp.choices import EventKind
from streamapp.events.event import Because, Event
from streamapp.events.outages import OutageRules
from streamapp.events.visits import VisitRules
from streamapp.events.watcher import StreamWatcher
from streamapp.pipeline.mailbox import Mailbox
from streamapp.sinks.base import Output
from streamapp.sources.base import SourceState, SourceStatus
from tests.events.scenes import NOW, TIMES, Face, ids, result
from tests.pictures import frame
from tests.waiting import until


class Watched:
    """A watcher at work. The machine's clock says NOW while its monotonic one says `now_s`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now_s = 100.0
        make_id = ids()
        self.watcher = StreamWatcher(
            VisitRules("door", TIMES, make_id),
            OutageRules("door", 5.0, 2.0, make_id),
            self.events.append,
            clock=lambda: NOW + self.now_s - 100,
            monotonic=lambda: self.now_s,
        )
        self.inbox: Mailbox[Output] = Mailbox()

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    async def show(self, frames: range, *faces: Face) -> None:
        """Frames at 30 a second that arrive 100 s after the clock began."""
        for index in frames:
            shown = result(index / 30, *faces)
            await self.inbox.deliver(Output(frame(index), shown))

    def change(self, state: SourceState) -> None:
        self.watcher.on_status(SourceStatus(state, since=NOW + self.now_s - 100))


async def test_the_clock_is_this_machines() -> None:
    watched = Watched()
    watched.now_s = 200.0
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.watcher.run(watched.inbox))
        await watched.show(range(30), Face())
        watched.inbox.close()
    appeared, left = watched.events
    assert (appeared.kind, left.kind, left.because) == (EventKind.APPEARED, EventKind.LEFT, Because.STREAM_ENDED)
    assert appeared.at == NOW, "when it arrived, not when it was looked at, nor by the camera's clock"


async def test_a_lost_stream_ends_visits_though_nothing_comes_any_more() -> None:
    watched = Watched()
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.watcher.run(watched.inbox))
        watched.change(SourceState.LIVE)
        await watched.show(range(30), Face())
        await until(lambda: watched.events)
        watched.change(SourceState.RECONNECTING)
        watched.now_s += 6
        await until(lambda: EventKind.STREAM_LOST in watched.kinds)
        watched.change(SourceState.LIVE)
        watched.now_s += 3
        await until(lambda: EventKind.STREAM_RECOVERED in watched.kinds)
        watched.inbox.close()
    expected = [EventKind.APPEARED, EventKind.STREAM_LOST, EventKind.LEFT, EventKind.STREAM_RECOVERED]
    assert watched.kinds == expected
    assert watched.events[2].because is Because.STREAM_LOST
    assert [event.id for event in watched.events] == sorted(event.id for event in watched.events)


async def test_a_stream_that_is_cut_off_ends_visits() -> None:
    watched = Watched()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watched.watcher.run(watched.inbox))
        await watched.show(range(30), Face())
        await until(lambda: watched.events)
        running.cancel()
    assert watched.kinds == [EventKind.APPEARED, EventKind.LEFT]
