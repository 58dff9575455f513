"""Thresholds hold the chosen rate whatever the number of people."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamapp.errors import UsageError
from streamapp.gallery.calibration import false_accept_rate
from streamapp.gallery.identity_rules import VoteRules


@pytest.mark.parametrize("people", [1, 100, 100_000])
def test_a_stranger_passes_as_rarely_as_chosen_however_many_are_enrolled(people: int) -> None:
    accept = VoteRules(false_match_rate=0.01).thresholds(people).accept
    assert 1 - (1 - false_accept_rate(accept)) ** people == pytest.approx(0.01, rel=0.02)


def test_thresholds_are_in_order_and_rise_with_the_gallery() -> None:
    few, many = VoteRules().thresholds(10), VoteRules().thresholds(1000)
    assert few.unknown < few.keep < few.accept < many.accept
    assert VoteRules().thresholds(0) == VoteRules().thresholds(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VoteRules(false_match_rate=0.0),
        lambda: VoteRules(false_match_rate=0.5),
        lambda: VoteRules(memory=1),
        lambda: VoteRules(max_attempts=1),
        lambda: VoteRules(min_quality=0.0),
    ],
)
def test_rules_without_sense_are_refused(make: Callable[[], VoteRules]) -> None:
    with pytest.raises(UsageError):
        make()
