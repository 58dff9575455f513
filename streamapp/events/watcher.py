"""The sink that turns a stream's results, and its source's state, into events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from streamapp.choices import EventKind
from streamapp.event_settings import EventSettings
from streamapp.events.event import Because, Event, MakeId
from streamapp.events.outages import OutageRules
from streamapp.events.visits import VisitRules, VisitTimes
from streamapp.sinks.base import Inbox, Output
from streamapp.sources.base import SourceStatus

CHECK_S = 0.25
"""How often is looked at what time alone makes known."""


class StreamWatcher:
    """A sink for one stream. It may miss results: a visit is not made of single frames.

    clock: Unix time in seconds; monotonic: seconds.
    """

    lossless = False

    def __init__(
        self,
        visits: VisitRules,
        outages: OutageRules,
        publish: Callable[[Event], None],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._visits = visits
        self._outages = outages
        self._publish = publish
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, inbox: Inbox) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(CHECK_S):
                        output = await inbox.get()
                except TimeoutError:
                    pass
                else:
                    if output is None:
                        return
                    self._tell(self._visits.see(output.result, self._arrived_at(output)))
                self._tell(self._outages.check(self._monotonic()))
        finally:
            self._tell(self._visits.end(Because.STREAM_ENDED))

    def on_status(self, status: SourceStatus) -> None:
        """The source's state has changed."""
        self._tell(self._outages.change(status, self._monotonic()))

    def _arrived_at(self, output: Output) -> float:
        """By this machine's clock: a camera's may be wrong by years."""
        return self._clock() - (self._monotonic() - output.frame.arrived_s)

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._publish(event)
            if event.kind is EventKind.STREAM_LOST:
                self._tell(self._visits.end(Because.STREAM_LOST))  # whether they are still there nobody can say


def watcher_of(
    settings: EventSettings, stream: str, make_id: MakeId, publish: Callable[[Event], None]
) -> StreamWatcher:
    """The sink for a new stream, by the settings' rules."""
    times = VisitTimes(settings.appear_s, settings.appear_frames, settings.hold_s, settings.gone_s)
    outages = OutageRules(stream, settings.lost_s, settings.recovered_s, make_id)
    return StreamWatcher(VisitRules(stream, times, make_id), outages, publish)
