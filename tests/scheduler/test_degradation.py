"""Variants there was no memory for go down two steps and climb up again."""

from __future__ import annotations

from streamapp.scheduler.degradation import FIRST_WAIT_S, FORGET_S, LONGEST_WAIT_S, Degradation

BUCKETS = (1, 2, 4, 8)


def noted(degradation: Degradation, now_s: float) -> None:
    degradation.note("a", "no memory", needed_bytes=100, budget_bytes=500, now_s=now_s)


def test_first_smaller_then_left_out_then_up_the_same_way() -> None:
    degradation = Degradation()
    assert degradation.buckets("a", BUCKETS) == BUCKETS
    noted(degradation, 0)
    assert degradation.buckets("a", BUCKETS) == (1,)
    assert degradation.left_out("a") is None
    noted(degradation, 1)
    assert degradation.left_out("a") is not None
    assert degradation.left_out("b") is None
    degradation.climb(budget_bytes=500, now_s=1 + 2 * FIRST_WAIT_S - 0.1)
    assert degradation.left_out("a") is not None
    degradation.climb(budget_bytes=500, now_s=1 + 2 * FIRST_WAIT_S)
    assert degradation.left_out("a") is None
    assert degradation.buckets("a", BUCKETS) == (1,)
    degradation.climb(budget_bytes=500, now_s=1 + 4 * FIRST_WAIT_S)
    assert degradation.buckets("a", BUCKETS) == BUCKETS
    assert not degradation.faults


def test_a_budget_grown_by_what_it_needs_is_worth_a_try_at_once() -> None:
    degradation = Degradation()
    noted(degradation, 0)
    noted(degradation, 0)
    degradation.climb(budget_bytes=599, now_s=0.1)
    assert degradation.left_out("a")
    degradation.climb(budget_bytes=600, now_s=0.1)
    assert not degradation.faults


def test_waits_double_up_to_a_bound_and_are_forgotten_in_time() -> None:
    degradation, now_s, waits = Degradation(), 0.0, []
    for _ in range(6):
        noted(degradation, now_s)
        waits.append(degradation.faults["a"].retry_at_s - now_s)
        now_s = degradation.faults["a"].retry_at_s
        degradation.climb(budget_bytes=500, now_s=now_s)
    assert waits == [5, 10, 20, 40, LONGEST_WAIT_S, LONGEST_WAIT_S]
    noted(degradation, now_s + FORGET_S + 1)
    assert degradation.faults["a"].count == 1
