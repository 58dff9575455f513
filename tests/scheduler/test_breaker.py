from __future__ import annotations

from streamapp.scheduler.breaker import MAX_FAILURES, REST_S, Breaker, Circuit


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(MAX_FAILURES):
        breaker.failed(at_s, "broken")
    return breaker


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    breaker = Breaker()
    for _ in range(MAX_FAILURES - 1):
        breaker.failed(0.0, "broken")
    assert breaker.state(0.0) is Circuit.CLOSED
    assert breaker.admits(0.0)
    breaker.failed(0.0, "broken")
    assert breaker.state(0.0) is Circuit.OPEN
    assert not breaker.admits(0.0)


def test_a_success_between_failures_begins_the_row_anew() -> None:
    breaker = Breaker()
    for _ in range(MAX_FAILURES - 1):
        breaker.failed(0.0, "broken")
    breaker.succeeded()
    for _ in range(MAX_FAILURES - 1):
        breaker.failed(0.0, "broken")
    assert breaker.state(0.0) is Circuit.CLOSED


def test_it_rests_for_thirty_seconds_and_says_for_how_long_still() -> None:
    breaker = opened(at_s=100.0)
    assert REST_S == 30.0
    assert breaker.retry_in_s(110.0) == 20.0
    assert breaker.state(129.9) is Circuit.OPEN
    assert breaker.state(130.0) is Circuit.HALF_OPEN
    assert breaker.retry_in_s(140.0) == 0.0


def test_one_trial_is_let_through_at_a_time() -> None:
    breaker = opened()
    assert breaker.admits(REST_S)
    assert not breaker.admits(REST_S)
    assert not breaker.admits(REST_S + 100)


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.admits(REST_S)
    breaker.succeeded()
    assert breaker.state(REST_S) is Circuit.CLOSED
    assert breaker.retry_in_s(REST_S) == 0.0
    assert breaker.admits(REST_S)
    assert breaker.admits(REST_S)


def test_a_trial_that_fails_opens_it_for_another_thirty_seconds() -> None:
    breaker = opened()
    assert breaker.admits(REST_S)
    breaker.failed(REST_S + 1, "still broken")
    assert breaker.state(2 * REST_S) is Circuit.OPEN
    assert not breaker.admits(2 * REST_S)
    assert breaker.admits(2 * REST_S + 1)


def test_a_trial_that_told_nothing_makes_way_for_the_next() -> None:
    breaker = opened()
    assert breaker.admits(REST_S)
    breaker.told_nothing()
    assert breaker.state(REST_S) is Circuit.HALF_OPEN
    assert breaker.admits(REST_S)
    assert not breaker.admits(REST_S)


def test_after_a_good_trial_five_failures_are_needed_again() -> None:
    breaker = opened()
    assert breaker.admits(REST_S)
    breaker.succeeded()
    breaker.failed(REST_S, "broken")
    assert breaker.state(REST_S) is Circuit.CLOSED
