from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.results import DropReason
from streamapp.scheduler.api import Priority
from streamapp.scheduler.job_queue import AGEING_S, MAX_OWNERS, JobQueue, Waiting

NEVER_S = 1e9
BATCH = 8


def waiting(
    job: str,
    *,
    kind: str = "embed",
    owner: str = "cam",
    priority: Priority = Priority.REFRESH,
    weight: int = 1,
    queued_s: float = 0.0,
    deadline_s: float = NEVER_S,
) -> Waiting[str]:
    return Waiting(job, kind, owner, priority, weight, queued_s, deadline_s)


def filled(*jobs: Waiting[str], capacity: int = 100) -> JobQueue[str]:
    queue: JobQueue[str] = JobQueue(capacity)
    for job in jobs:
        assert queue.push(job, job.queued_s) == []
    return queue


def drained(queue: JobQueue[str], now_s: float = 0.0, max_items: int = 1) -> list[str]:
    """All jobs, in the order in which they come out."""
    return [w.job for _ in range(len(queue)) for w in queue.pop_batch(now_s, max_items)]


# -- order -----------------------------------------------------------------------------------------------------------


def test_the_better_class_comes_first_whatever_came_earlier() -> None:
    queue = filled(*(waiting(priority.name, priority=priority) for priority in reversed(Priority)))
    assert drained(queue) == [priority.name for priority in Priority]


def test_within_a_class_and_an_owner_the_oldest_comes_first() -> None:
    assert drained(filled(waiting("b", queued_s=0.2), waiting("a", queued_s=0.1), waiting("c", queued_s=0.3)), 1) == [
        "a",
        "b",
        "c",
    ]


def test_every_two_seconds_of_waiting_count_as_one_class() -> None:
    assert AGEING_S == 2.0
    old = waiting("old", priority=Priority.UNCERTAIN, queued_s=0.0)
    new = waiting("new", priority=Priority.NEW_FACE, queued_s=4.0)
    assert drained(filled(old, new), 4.0) == ["old", "new"]
    assert drained(filled(old, waiting("new", priority=Priority.NEW_FACE, queued_s=1.9)), 1.9) == ["new", "old"]


@given(
    priority=st.sampled_from(Priority),
    per_turn=st.integers(1, 3),
    turn_s=st.floats(0.05, 1.0),
    rivals=st.sampled_from(Priority),
)
def test_nothing_starves(priority: Priority, per_turn: int, turn_s: float, rivals: Priority) -> None:
    """However many better jobs come, more than are served, only those can go before a job that came until one class
    step after it could no longer be told from them."""
    queue = filled(waiting("quiet", owner="quiet", priority=priority, queued_s=0.0), capacity=100_000)
    bound_s = AGEING_S * (max(0, priority - rivals) + 1)
    may_pass = per_turn * (int(bound_s / turn_s) + 2)
    for turn in range(may_pass + 2):
        now_s = turn * turn_s
        for number in range(per_turn):
            queue.push(waiting(f"{turn}.{number}", owner="crowd", priority=rivals, queued_s=now_s), now_s)
        if queue.pop_batch(now_s, 1)[0].job == "quiet":
            return
    raise AssertionError(f"{may_pass + 2} jobs went before it")


# -- sharing ---------------------------------------------------------------------------------------------------------


def test_within_a_class_owners_take_turns() -> None:
    crowd = [waiting(f"crowd{i}", owner="crowd", queued_s=i / 100) for i in range(5)]
    quiet = [waiting(f"quiet{i}", owner="quiet", queued_s=0.5 + i / 100) for i in range(2)]
    assert drained(filled(*crowd, *quiet), 1.0) == [
        *("crowd0", "quiet0", "crowd1", "quiet1", "crowd2", "crowd3", "crowd4")
    ]


def test_an_owner_that_comes_back_has_no_lead_for_the_time_it_was_away() -> None:
    queue = filled(waiting("once", owner="back"))
    queue.pop_batch(0.0, 1)
    for number in range(50):
        queue.push(waiting(f"busy{number}", owner="busy"), 0.0)
        if number:
            queue.pop_batch(0.0, 1)
    for number in range(10):
        queue.push(waiting(f"back{number}", owner="back"), 0.0)
        queue.push(waiting(f"more{number}", owner="busy"), 0.0)
    owners = [queue.pop_batch(0.0, 1)[0].owner for _ in range(10)]
    assert owners.count("busy") in (5, 6)


def test_an_owner_that_comes_back_to_an_empty_queue_has_no_lead_either() -> None:
    queue = filled(waiting("once", owner="back"))
    queue.pop_batch(0.0, 1)
    for number in range(50):
        queue.push(waiting(f"busy{number}", owner="busy"), 0.0)
        queue.pop_batch(0.0, 1)
    for number in range(10):
        queue.push(waiting(f"back{number}", owner="back"), 0.0)
    for number in range(10):
        queue.push(waiting(f"busy{number}", owner="busy"), 0.0)
    owners = [queue.pop_batch(0.0, 1)[0].owner for _ in range(10)]
    assert owners.count("busy") in (4, 5)


@given(crowds=st.integers(1, 5), sizes=st.lists(st.integers(1, BATCH), min_size=1, max_size=12), data=st.data())
def test_a_crowded_owner_cannot_starve_a_quiet_one(crowds: int, sizes: list[int], data: st.DataObject) -> None:
    """A quiet owner has one small job at a time, the others always as many as they like: it waits for at most two
    batches of each of them."""
    queue: JobQueue[str] = JobQueue(100_000)
    weights = itertools.cycle(sizes)

    def crowd() -> None:
        for name in range(crowds):
            while sum(w.owner == f"crowd{name}" for w in queue.waiting) < 3 * BATCH:
                queue.push(waiting("job", owner=f"crowd{name}", weight=next(weights)), 0.0)

    for _ in range(5):
        for _ in range(data.draw(st.integers(0, 6), label="batches before")):
            crowd()
            queue.pop_batch(0.0, BATCH)
        queue.push(waiting("quiet", owner="quiet"), 0.0)
        waited = 0
        while not any(w.owner == "quiet" for w in queue.pop_batch(0.0, BATCH)):
            crowd()
            waited += 1
            assert waited <= 2 * crowds


def test_an_owner_that_leaves_and_comes_back_still_owes_what_it_was_served() -> None:
    """One large job at a time against many small ones."""
    queue = filled(*(waiting("small", owner="small", kind="a") for _ in range(400)), capacity=1000)
    served: Counter[str] = Counter()
    for turn in range(100):
        if all(w.owner == "small" for w in queue.waiting):
            queue.push(waiting("large", owner="large", kind="b", weight=BATCH, queued_s=turn / 1000), 0.1)
        (taken,) = queue.pop_batch(0.1, 1)
        served[taken.owner] += taken.weight
        assert abs(served["small"] - served["large"]) <= 2 * BATCH


@given(sizes=st.lists(st.tuples(st.integers(1, BATCH), st.integers(1, BATCH)), min_size=60, max_size=60))
def test_owners_that_always_wait_are_served_the_same(sizes: list[tuple[int, int]]) -> None:
    queue: JobQueue[str] = JobQueue(1000)
    for a, b in sizes:
        queue.push(waiting("a", owner="a", weight=a), 0.0)
        queue.push(waiting("b", owner="b", weight=b), 0.0)
    served: Counter[str] = Counter()
    while {w.owner for w in queue.waiting} == {"a", "b"}:
        for taken in queue.pop_batch(0.0, BATCH):
            served[taken.owner] += taken.weight
        assert abs(served["a"] - served["b"]) <= 2 * BATCH


def test_shares_are_remembered_of_a_bounded_number_of_owners() -> None:
    queue = filled(waiting("first", owner="first", priority=Priority.IMAGE))
    for number in range(3 * MAX_OWNERS):
        queue.push(waiting("job", owner=str(number)), 0.0)
        queue.pop_batch(0.0, 1)
        assert len(queue._served) <= MAX_OWNERS + 1
    assert drained(queue) == ["first"]


# -- room ------------------------------------------------------------------------------------------------------------


def test_when_full_the_newest_of_the_worst_class_goes() -> None:
    queue = filled(
        waiting("old", priority=Priority.REFRESH),
        waiting("new", priority=Priority.REFRESH),
        waiting("better", priority=Priority.UNCERTAIN),
        capacity=3,
    )
    (shed,) = queue.push(waiting("best", priority=Priority.NEW_FACE), 0.0)
    assert (shed.waiting.job, shed.reason) == ("new", DropReason.QUEUE_FULL)
    (shed,) = queue.push(waiting("worst", priority=Priority.IMAGE), 0.0)
    assert shed.waiting.job == "worst"
    assert len(queue) == 3


def test_when_full_who_has_waited_long_counts_as_of_a_better_class() -> None:
    queue = filled(waiting("patient", priority=Priority.IMAGE), capacity=1)
    (shed,) = queue.push(waiting("newcomer", priority=Priority.REFRESH, queued_s=6.0), 6.0)
    assert shed.waiting.job == "newcomer"


def test_when_full_what_is_too_old_goes_first() -> None:
    queue = filled(waiting("late", priority=Priority.NEW_FACE, deadline_s=1.0), waiting("fine"), capacity=2)
    (shed,) = queue.push(waiting("newcomer", priority=Priority.IMAGE, queued_s=1.0), 1.0)
    assert (shed.waiting.job, shed.reason) == ("late", DropReason.STALE)
    assert {w.job for w in queue.waiting} == {"fine", "newcomer"}


def test_a_job_past_its_deadline_is_not_taken_in() -> None:
    queue = filled(waiting("fine"), capacity=1)
    (shed,) = queue.push(waiting("late", priority=Priority.NEW_FACE, deadline_s=1.0), 1.0)
    assert (shed.waiting.job, shed.reason) == ("late", DropReason.STALE)
    assert [w.job for w in queue.waiting] == ["fine"]


@given(
    pushes=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(Priority), st.integers(1, 9)), max_size=80),
    capacity=st.integers(1, 12),
)
def test_an_owner_within_its_share_loses_nothing_to_the_others(
    pushes: list[tuple[str, Priority, int]], capacity: int
) -> None:
    queue: JobQueue[str] = JobQueue(capacity)
    for number, (owner, priority, weight) in enumerate(pushes):
        shed = queue.push(waiting(str(number), owner=owner, priority=priority, weight=weight), 0.0)
        assert len(queue) == min(capacity, number + 1)
        assert len(shed) == (number >= capacity)
        for gone in shed:
            held = Counter(w.owner for w in [*queue.waiting, gone.waiting])
            assert held[gone.waiting.owner] > capacity / len(held)


# -- deadlines and leaving -------------------------------------------------------------------------------------------


def test_expire_takes_out_exactly_what_is_past_its_deadline() -> None:
    queue = filled(waiting("a", deadline_s=1.0), waiting("b", deadline_s=2.0), waiting("c", deadline_s=3.0))
    assert [shed.waiting.job for shed in queue.expire(2.0)] == ["a", "b"]
    assert queue.expire(2.0) == []
    assert [w.job for w in queue.waiting] == ["c"]


def test_remove_takes_out_what_is_asked_for() -> None:
    queue = filled(waiting("a"), waiting("b"), waiting("c"))
    assert [w.job for w in queue.remove(lambda w: w.job in "ac")] == ["a", "c"]
    assert queue.remove(lambda w: w.job == "a") == []
    assert drained(queue) == ["b"]


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_of_one_kind_across_owners_and_classes() -> None:
    queue = filled(
        waiting("a", owner="1", priority=Priority.NEW_FACE),
        waiting("other", owner="2", kind="age", priority=Priority.NEW_FACE, queued_s=0.1),
        waiting("b", owner="3", priority=Priority.IMAGE, queued_s=0.2),
    )
    assert [w.job for w in queue.pop_batch(0.5, BATCH)] == ["a", "b"]
    assert [w.job for w in queue.pop_batch(0.5, BATCH)] == ["other"]
    assert queue.pop_batch(0.5, BATCH) == []


@given(weights=st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_batches_stay_within_the_size_unless_one_job_is_larger(weights: list[int]) -> None:
    queue = filled(*(waiting(str(i), owner=str(i % 3), weight=weight) for i, weight in enumerate(weights)))
    seen: list[str] = []
    while batch := queue.pop_batch(0.0, BATCH):
        assert sum(w.weight for w in batch) <= BATCH or len(batch) == 1
        seen += [w.job for w in batch]
    assert sorted(seen) == sorted(str(i) for i in range(len(weights)))


def test_a_job_that_does_not_fit_stays_and_comes_first_next_time() -> None:
    queue = filled(waiting("a", weight=5), waiting("b", weight=4, queued_s=0.1), waiting("c", weight=3, queued_s=0.2))
    assert [w.job for w in queue.pop_batch(1.0, BATCH)] == ["a", "c"]
    assert [w.job for w in queue.pop_batch(1.0, BATCH)] == ["b"]


def test_kinds_that_are_not_ready_stay_where_they_are() -> None:
    queue = filled(waiting("a", kind="slow", priority=Priority.NEW_FACE), waiting("b", kind="quick"))
    assert [w.job for w in queue.pop_batch(0.0, BATCH, lambda kind: kind != "slow")] == ["b"]
    assert queue.pop_batch(0.0, BATCH, lambda kind: kind != "slow") == []
    assert [w.job for w in queue.pop_batch(0.0, BATCH)] == ["a"]


@pytest.mark.parametrize("max_items", [1, 3, BATCH])
def test_no_job_is_lost_or_doubled(max_items: int) -> None:
    jobs = [waiting(str(i), kind=str(i % 3), owner=str(i % 5), priority=Priority(i % 4)) for i in range(90)]
    assert sorted(drained(filled(*jobs), 0.0, max_items)) == sorted(w.job for w in jobs)
