"""Which models go: those worth least per byte, and no more than it takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamapp.scheduler.eviction import Candidate, victims


def candidate(name: str, size: int = 100, *, weight: float = 1, idle_s: float = 1, load_s: float = 1) -> Candidate:
    return Candidate(name, size, weight, idle_s, load_s)


def test_the_longest_idle_goes_first() -> None:
    assert victims([candidate("a", idle_s=5), candidate("b", idle_s=50)], 60) == ("b",)


def test_what_matters_less_goes_first() -> None:
    assert victims([candidate("a", weight=4), candidate("b")], 60) == ("b",)


def test_what_is_had_again_sooner_goes_first() -> None:
    assert victims([candidate("a", load_s=3), candidate("b", load_s=0.5)], 60) == ("b",)


def test_the_larger_of_two_of_the_same_worth_goes_first() -> None:
    assert victims([candidate("a", 100), candidate("b", 1000)], 60) == ("b",)


def test_all_or_nothing_goes() -> None:
    assert victims([candidate("a"), candidate("b")], 201) == ()
    assert set(victims([candidate("a"), candidate("b")], 200)) == {"a", "b"}


def test_small_ones_are_spared_when_a_large_one_must_go_anyhow() -> None:
    assert victims([candidate("small", 50, idle_s=500), candidate("large", 500, load_s=20)], 400) == ("large",)


SIZED = st.lists(st.tuples(st.integers(1, 500), st.floats(0, 100), st.floats(0, 10)), max_size=8)


@given(SIZED, st.integers(1, 1500))
def test_victims_are_enough_and_none_is_needless(found: list[tuple[int, float, float]], needed: int) -> None:
    candidates = {f"v{i}": candidate(f"v{i}", s, idle_s=t, load_s=c) for i, (s, t, c) in enumerate(found)}
    chosen = victims(candidates.values(), needed)
    sizes = [candidates[name].size_bytes for name in chosen]
    if sum(c.size_bytes for c in candidates.values()) < needed:
        assert chosen == ()
    else:
        assert sum(sizes) >= needed
        assert all(sum(sizes) - size < needed for size in sizes)
