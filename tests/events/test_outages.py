"""A stream that is lost, and back, is told once each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamapp.choices import EventKind
from streamapp.events.event import Event
from streamapp.events.outages import OutageRules
from streamapp.sources.base import SourceState, SourceStatus
from tests.events.scenes import NOW, ids

LIVE, CONNECTING, RECONNECTING, FAILED, ENDED, CLOSED = (
    SourceState.LIVE,
    SourceState.CONNECTING,
    SourceState.RECONNECTING,
    SourceState.FAILED,
    SourceState.ENDED,
    SourceState.CLOSED,
)
LOST, RECOVERED = EventKind.STREAM_LOST, EventKind.STREAM_RECOVERED


def rules() -> OutageRules:
    return OutageRules("door", 5.0, 2.0, ids())


def status(state: SourceState, now_s: float) -> SourceStatus:
    lost = state in (RECONNECTING, FAILED)
    return SourceStatus(state, since=NOW + now_s, code="source_timeout" if lost else None)


def told(*changes: tuple[float, SourceState], until_s: float) -> list[Event]:
    """What is told if the state changes at these times, and time is looked at every 0.1 s."""
    watched = rules()
    events: list[Event] = []
    waiting = list(changes)
    for tick in range(round(until_s * 10) + 1):
        while waiting and waiting[0][0] <= tick / 10 + 1e-9:
            at_s, state = waiting.pop(0)
            events += watched.change(status(state, at_s), tick / 10)
        events += watched.check(tick / 10)
    return events


def test_a_stream_is_lost_once_and_recovers_once() -> None:
    events = told((0, CONNECTING), (1, LIVE), (10, RECONNECTING), (12, RECONNECTING), (20, LIVE), until_s=60)
    assert [event.kind for event in events] == [LOST, RECOVERED]
    lost, recovered = events
    assert (lost.at, lost.because, lost.stream) == (NOW + 10, "source_timeout", "door")
    assert (recovered.at, recovered.duration_s) == (NOW + 20, 10)


def test_a_short_break_is_not_told() -> None:
    assert told((0, LIVE), (10, RECONNECTING), (14.5, LIVE), (20, RECONNECTING), (24.5, LIVE), until_s=60) == []


def test_a_stream_that_never_was_live_is_not_lost() -> None:
    assert told((0, CONNECTING), (30, FAILED), until_s=60) == []


def test_the_end_is_no_loss() -> None:
    assert told((0, LIVE), (5, ENDED), until_s=30) == []
    assert told((0, LIVE), (5, RECONNECTING), (6, CLOSED), until_s=30) == []


def test_what_fails_for_good_is_lost_at_once() -> None:
    events = told((0, LIVE), (5, FAILED), until_s=5)
    assert [(event.kind, event.because) for event in events] == [(LOST, "source_timeout")]


def test_flapping_is_one_outage() -> None:
    flaps = [(20.0 + n, LIVE if n % 2 else RECONNECTING) for n in range(21)]
    events = told((0, LIVE), (10, RECONNECTING), *flaps, (41, LIVE), until_s=60)
    assert [event.kind for event in events] == [LOST, RECOVERED]
    assert events[1].at == NOW + 41


@given(st.lists(st.tuples(st.floats(0, 12), st.sampled_from(list(SourceState))), max_size=40))
def test_lost_and_recovered_take_turns(steps: list[tuple[float, SourceState]]) -> None:
    watched, now_s, kinds = rules(), 0.0, []
    for wait_s, state in steps:
        now_s += wait_s
        found = watched.check(now_s)
        found += watched.change(status(state, now_s), now_s)
        kinds += [event.kind for event in found]
    assert kinds == ([LOST, RECOVERED] * len(kinds))[: len(kinds)]
