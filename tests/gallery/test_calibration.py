"""A level says how rarely different people look that much alike, for every model on the same scale."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.gallery.calibration import Calibration, false_accept_rate, level_of_rate, parse_calibrations


def impostors(mean: float, deviation: float, count: int = 20_000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(1).normal(mean, deviation, count)


def test_levels_of_normal_scores_are_standard_deviations() -> None:
    curve = Calibration.fit("m", impostors(0.1, 0.05))
    for deviations in (0.0, 1.0, 2.0, 3.0, 6.0):
        assert curve.level(0.1 + deviations * 0.05) == pytest.approx(deviations, abs=0.2)


def test_models_of_different_spread_agree_on_the_rate_of_false_accepts() -> None:
    for mean, deviation in ((0.0, 0.06), (0.3, 0.2)):
        scores = impostors(mean, deviation)
        curve = Calibration.fit("m", scores)
        accepted = np.mean([curve.level(score) >= 2.3263 for score in scores])
        assert accepted == pytest.approx(0.01, abs=0.003)


def test_levels_rise_with_the_cosine() -> None:
    curve = Calibration.fit("m", impostors(0, 0.1, 300))
    levels = [curve.level(cosine) for cosine in np.linspace(-1, 1, 201)]
    assert all(a < b for a, b in pairwise(levels))


@pytest.mark.parametrize("cosine", [float("nan"), float("-inf")])
def test_what_is_not_a_number_has_no_level(cosine: float) -> None:
    assert Calibration.fit("m", impostors(0, 0.1)).level(cosine) == float("-inf")


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        Calibration.fit("m", impostors(0, 0.1, 10))


def test_scores_without_spread_are_refused() -> None:
    with pytest.raises(UsageError, match="rising"):
        Calibration.fit("m", np.full(500, 0.2))


def test_a_rare_rate_rests_on_enough_pairs() -> None:
    few, many = Calibration.fit("m", impostors(0, 0.1, 100)), Calibration.fit("m", impostors(0, 0.1, 5000))
    assert false_accept_rate(few.levels[-1]) == pytest.approx(0.05, rel=0.01)
    assert false_accept_rate(many.levels[-1]) == pytest.approx(0.001, rel=0.01)


def test_the_file_gives_back_what_was_written() -> None:
    curve = Calibration.fit("m", impostors(0, 0.1, 1000))
    read = parse_calibrations(curve.to_toml())["m"]
    assert read.impostor_pairs == 1000
    assert read.cosines == pytest.approx(curve.cosines, abs=1e-4)
    assert read.levels == pytest.approx(curve.levels, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "calibration = 3",
        '[[calibration]]\nmodel = "m"',
        '[[calibration]]\nmodel = "m"\nimpostor_pairs = 9\ncosines = [0.2, 0.1]\nlevels = [0, 1]',
        "[[calibration",
    ],
)
def test_a_broken_file_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_calibrations(text)


def test_many_levels_at_once_are_those_one_by_one() -> None:
    curve = Calibration.fit("m", impostors(0.05, 0.08, 4000))
    cosines = np.concatenate([np.linspace(-1, 1, 500), curve.cosines]).astype(np.float32)
    np.testing.assert_allclose(curve.levels_of(cosines), [curve.level(float(c)) for c in cosines], atol=1e-4)


def test_no_two_cosines_have_levels_further_apart_than_the_steepest_part_allows() -> None:
    curve = Calibration("m", (0.0, 0.1, 0.15), (0.0, 0.5, 1.5), 1000)
    levels = [curve.level(cosine) for cosine in np.linspace(-1, 1, 2001)]
    assert max(b - a for a, b in pairwise(levels)) == pytest.approx(curve.steepest * 0.001, rel=1e-6)


def test_a_rate_and_its_level_are_two_names_of_one_thing() -> None:
    for rate in (0.3, 0.01, 1e-7):
        assert false_accept_rate(level_of_rate(rate)) == pytest.approx(rate, rel=1e-6)
