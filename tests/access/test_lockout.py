"""Whoever guesses waits; whoever merely has an old token does not."""

from __future__ import annotations

import pytest

from streamapp.access.lockout import FORGET_S, FREE_TRIES, MAX_CLIENTS, MAX_DELAY_S, Lockout
from streamapp.errors import LockedOut


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def guess(lockout: Lockout, times: int, client: str = "10.0.0.9", first: int = 0) -> None:
    for number in range(first, first + times):
        lockout.failed(client, f"digest {number}")


def wait_s(lockout: Lockout, client: str = "10.0.0.9") -> int:
    try:
        lockout.check(client)
    except LockedOut as error:
        return error.retry_after_s
    return 0


def test_each_wrong_token_after_the_first_few_costs_twice_the_time() -> None:
    lockout, waits = Lockout(Clock()), []
    for number in range(FREE_TRIES + 12):
        guess(lockout, 1, first=number)
        waits.append(wait_s(lockout))
    assert waits == [0] * FREE_TRIES + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert waits[-1] == MAX_DELAY_S


def test_the_wait_ends_and_other_addresses_have_none() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    guess(lockout, FREE_TRIES + 4)
    assert wait_s(lockout) == 8
    assert wait_s(lockout, "10.0.0.8") == 0
    clock.now = 7.5
    assert wait_s(lockout) == 1
    clock.now = 8.0
    assert wait_s(lockout) == 0


def test_the_same_old_token_over_and_over_is_no_guess() -> None:
    lockout = Lockout(Clock())
    for _ in range(1000):
        lockout.failed("10.0.0.9", "the same")
    assert wait_s(lockout) == 0


def test_a_right_token_and_an_hour_of_rest_forgive() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    guess(lockout, FREE_TRIES)
    lockout.succeeded("10.0.0.9")
    guess(lockout, FREE_TRIES)
    assert wait_s(lockout) == 0
    clock.now = FORGET_S + 1
    guess(lockout, FREE_TRIES, first=100)
    assert wait_s(lockout) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:10.0.0.9", "10.0.0.9"), ("fe80::1%eth0", "fe80::2"), ("", "")],
)
def test_addresses_of_one_client_count_together(first: str, second: str) -> None:
    lockout = Lockout(Clock())
    guess(lockout, FREE_TRIES + 3, first)
    assert wait_s(lockout, second) == 4
    assert wait_s(lockout, "2001:db8:0:1::1") == 0


def test_it_remembers_a_bounded_number_of_addresses() -> None:
    lockout = Lockout(Clock())
    for number in range(MAX_CLIENTS + 100):
        guess(lockout, 1, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(lockout) == MAX_CLIENTS
