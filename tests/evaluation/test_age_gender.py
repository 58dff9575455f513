"""Errors of age and gender, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.age_gender import evaluate, read_people
from streamapp.findings import Gender, GenderAge
from tests.evaluation.judges import BLACK, find_face, grey, judge

TELLING = judge("telling", lambda brightness: GenderAge(male=brightness, age_years=100 * brightness))


def test_names_tell_age_and_gender(tmp_path: Path) -> None:
    for name in ("30_0_1_2017.jpg.chip.jpg", "5_1_20170109.jpg", "portrait.jpg", "30_2_1_2017.jpg"):
        grey(tmp_path / name, 9)
    assert [(person.age_years, person.gender) for person in read_people(tmp_path)] == [
        (30, Gender.MALE),
        (5, Gender.FEMALE),
    ]


def test_errors_are_means_over_the_people_with_a_face(tmp_path: Path) -> None:
    grey(tmp_path / "70_0_0_1.png", 204)  # taken for 80 and male
    grey(tmp_path / "26_1_0_1.png", 51)  # 20 and female
    grey(tmp_path / "20_0_0_1.png", 102)  # 40 and female
    grey(tmp_path / "40_1_0_1.png", BLACK)
    report = evaluate(read_people(tmp_path), [TELLING], find_face)
    (row,) = report.rows
    assert row.age_error_years.value == pytest.approx((10 + 6 + 20) / 3)
    assert row.age_bias_years.value == pytest.approx((10 - 6 + 20) / 3)
    assert (row.gender.count, row.gender.total) == (2, 3)
    assert (report.people, report.without_face) == (3, ("40_1_0_1.png",))


def test_pictures_with_other_names_or_without_faces_are_refused(tmp_path: Path) -> None:
    grey(tmp_path / "portrait.png", 9)
    with pytest.raises(UsageError, match="age_gender_race_date"):
        read_people(tmp_path)
    grey(tmp_path / "40_1_0_1.png", BLACK)
    with pytest.raises(UsageError, match="no face"):
        evaluate(read_people(tmp_path), [TELLING], find_face)
