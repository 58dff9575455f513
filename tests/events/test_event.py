"""Ids sort by time, whatever the clock does."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streamapp.events.event import EventIds
from tests.events.scenes import NOW


def test_an_id_is_a_uuid_of_version_7_with_its_time() -> None:
    made = EventIds(lambda: NOW + 0.25)()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(NOW * 1000) + 250


@given(st.lists(st.floats(NOW - 1e6, NOW + 1e6), min_size=2, max_size=200))
def test_ids_grow_also_if_the_clock_goes_back(times: list[float]) -> None:
    remaining = iter(times)
    make = EventIds(lambda: next(remaining))
    made = [make() for _ in times]
    assert made == sorted(set(made))


def test_ids_grow_within_a_millisecond() -> None:
    make = EventIds(lambda: NOW)
    made = [make() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}


def test_ids_go_on_after_those_of_earlier_runs() -> None:
    earlier = EventIds(lambda: NOW)()
    assert EventIds(lambda: NOW - 86400, after=earlier)() > earlier
    assert EventIds(lambda: NOW)() != UUID(int=0)
