"""Every byte has an owner, and nothing is admitted that does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import ModelError, OverBudget
from streamapp.scheduler.device_memory import MemoryUse
from streamapp.scheduler.ledger import Holding, Ledger

SIZES = st.integers(0, 400)


def ledger(*, configured: int | None = None, reserve: int = 0, total: int = 1000, others: int = 0) -> Ledger:
    books = Ledger(configured_bytes=configured, reserve_bytes=reserve)
    books.observe(MemoryUse(total, others, 0))
    return books


def test_the_budget_is_what_is_configured_or_left_less_the_reserve() -> None:
    assert ledger(reserve=100).budget_bytes == 900
    assert ledger(reserve=100, others=300).budget_bytes == 600
    assert ledger(configured=500, reserve=100, others=300).budget_bytes == 400
    assert ledger(configured=500, reserve=100, others=800).budget_bytes == 100
    assert ledger(configured=50, reserve=100).budget_bytes == 0
    assert ledger(configured=2000, others=700, reserve=100).best_budget_bytes == 900


def test_what_does_not_fit_is_not_admitted() -> None:
    books = ledger(configured=500)
    books.admit("a", Holding(200, 100, 50, 20))
    with pytest.raises(OverBudget, match="b needs 0 MB"):
        books.admit("b", Holding(131))
    books.admit("b", Holding(130))
    assert (books.free_bytes, books.committed_bytes) == (0, 500)


def test_loading_is_held_only_while_it_lasts() -> None:
    books = ledger(configured=500)
    books.admit("a", Holding(200, loading_bytes=300))
    assert books.free_bytes == 0
    books.replace("a", books.holdings["a"].loaded())
    assert books.free_bytes == 300


def test_a_measurement_over_the_budget_shows_as_an_overrun() -> None:
    books = ledger(configured=500)
    books.admit("a", Holding(400))
    books.replace("a", Holding(620))
    assert (books.overrun_bytes, books.free_bytes) == (120, 0)
    books.release("a")
    assert books.overrun_bytes == 0


def test_strangers_and_leaks_shrink_the_budget_but_our_own_models_do_not() -> None:
    books = ledger(reserve=100)
    books.admit("a", Holding(300))
    books.observe(MemoryUse(1000, 300, 300))
    assert books.budget_bytes == 900
    books.observe(MemoryUse(1000, 500, 300))
    assert (books.others_bytes, books.budget_bytes) == (200, 700)
    books.observe(MemoryUse(1000, 550, 550))
    assert (books.unaccounted_bytes, books.budget_bytes) == (250, 750)
    books.observe(MemoryUse(1000, 350, 350))
    assert books.budget_bytes == 900, "the reserve is there for that"


def test_without_numbers_by_process_the_books_say_what_is_ours() -> None:
    books = ledger()
    books.context_bytes = 100
    books.admit("a", Holding(300))
    books.observe(MemoryUse(1000, 600, None))
    assert (books.others_bytes, books.budget_bytes) == (200, 800)


def test_nothing_is_entered_or_struck_out_twice() -> None:
    books = ledger()
    books.admit("a", Holding(1))
    with pytest.raises(ModelError):
        books.admit("a", Holding(1))
    books.release("a")
    with pytest.raises(ModelError):
        books.release("a")
    with pytest.raises(ModelError):
        books.replace("a", Holding(1))


@given(st.lists(st.tuples(st.sampled_from("abcde"), SIZES, SIZES)), st.integers(0, 1000), st.integers(0, 200))
def test_whatever_is_asked_for_the_books_stay_within_the_budget(
    wishes: list[tuple[str, int, int]], configured: int, reserve: int
) -> None:
    books = ledger(configured=configured, reserve=reserve)
    for variant, weights, loading in wishes:
        if variant in books.holdings:
            books.release(variant)
            continue
        try:
            books.admit(variant, Holding(weights, loading_bytes=loading))
        except OverBudget:
            assert weights + loading > books.free_bytes
        assert books.committed_bytes <= books.budget_bytes
        assert books.overrun_bytes == 0
