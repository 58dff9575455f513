from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.hosting.arena import ALIGNMENT, Arena, ArenaView, Region

SIZE = 64 * ALIGNMENT


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(SIZE)
    yield arena
    arena.close()


def view_of(arena: Arena) -> ArenaView:
    return ArenaView(os.dup(arena.descriptor))


def buffers(*contents: bytes) -> list[memoryview]:
    return [memoryview(content) for content in contents]


def test_what_one_side_puts_in_the_other_sees(arena: Arena) -> None:
    put = arena.put(buffers(b"first", b"", b"third"))
    assert put is not None
    seen = view_of(arena).look(put[1], lambda: None)
    assert [bytes(view) for view in seen] == [b"first", b"", b"third"]
    assert all(view.readonly for view in seen)
    assert all(part.start % ALIGNMENT == 0 for part in put[1])


def test_the_place_is_free_once_nobody_has_any_of_it(arena: Arena) -> None:
    put = arena.put(buffers(b"a" * 100, b"b" * 100))
    assert put is not None
    freed: list[bool] = []
    first, second = view_of(arena).look(put[1], lambda: freed.append(True))
    pixels = np.frombuffer(second, np.uint8)[10:20].reshape(2, 5)
    del first, second
    gc.collect()
    assert freed == []
    assert pixels.tolist() == [[ord("b")] * 5] * 2
    del pixels
    gc.collect()
    assert freed == [True]


def test_nothing_to_look_at_takes_no_place(arena: Arena) -> None:
    put = arena.put(buffers(b"", b""))
    assert put is not None
    assert arena.free_bytes == SIZE
    assert [bytes(view) for view in view_of(arena).look(put[1], pytest.fail)] == [b"", b""]
    arena.release(put[0])
    assert arena.free_bytes == SIZE


def test_what_does_not_fit_is_refused_until_there_is_room(arena: Arena) -> None:
    whole = arena.put(buffers(bytes(SIZE)))
    assert whole is not None
    assert arena.put(buffers(b"x")) is None
    arena.release(whole[0])
    assert arena.put(buffers(b"x")) is not None
    assert arena.put(buffers(bytes(SIZE))) is None


@pytest.mark.parametrize("outside", [Region(-ALIGNMENT, 8), Region(SIZE - 4, 8), Region(SIZE, 1)])
def test_places_outside_are_refused(arena: Arena, outside: Region) -> None:
    with pytest.raises(ValueError, match="outside"):
        view_of(arena).look([outside], lambda: None)


@given(st.lists(st.one_of(st.integers(0, 20 * ALIGNMENT), st.none()), max_size=60))
def test_places_never_overlap_and_all_of_it_comes_back(steps: list[int | None]) -> None:
    """A number puts so many bytes; None gives the oldest place back."""
    arena = Arena(SIZE)
    view, held = view_of(arena), list[tuple[Region, tuple[Region, ...], bytes]]()
    for number, step in enumerate(steps):
        if step is not None:
            content = bytes([number]) * step
            if (put := arena.put(buffers(content))) is not None:
                held.append((*put, content))
        elif held:
            arena.release(held.pop(0)[0])
        for _, parts, content in held:
            assert bytes(view.look(parts, lambda: None)[0]) == content
        assert arena.free_bytes == SIZE - sum(place.length for place, _, _ in held)
    for place, _, _ in held:
        arena.release(place)
    assert arena.put(buffers(bytes(SIZE))) is not None  # in one piece
    arena.close()
