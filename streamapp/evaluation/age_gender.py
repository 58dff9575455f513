"""How far estimates of age are off and how often gender is told as the label has it.

Pictures are named as in UTKFace (Zhang et al., 2017, arXiv 1702.08423): age_gender_race_date, gender 0 male, 1 female.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import pictures_in
from streamapp.evaluation.statistics import Estimate, Share, bootstrap_mean
from streamapp.evaluation.subject import FindFace, Subject, looks
from streamapp.findings import Gender, GenderAge

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_")
_GENDERS = {"0": Gender.MALE, "1": Gender.FEMALE}


@dataclass(frozen=True, slots=True)
class Person:
    path: Path
    age_years: int
    gender: Gender


@dataclass(frozen=True, slots=True)
class AgeGenderRow:
    """What one model reached. age_error_years: mean of absolute errors; age_bias_years: mean of errors."""

    model: str
    age_error_years: Estimate
    age_bias_years: Estimate
    gender: Share


@dataclass(frozen=True, slots=True)
class AgeGenderReport:
    rows: tuple[AgeGenderRow, ...]
    people: int
    """How many had a face that was found."""
    without_face: tuple[str, ...]


def read_people(folder: Path) -> list[Person]:
    """The pictures of a folder whose names tell age and gender. Raises UsageError if none does."""
    named = [(path, _NAME.match(path.name)) for path in pictures_in(folder)]
    people = [Person(path, int(name["age"]), _GENDERS[name["gender"]]) for path, name in named if name]
    if not people:
        raise UsageError(f"no picture in {folder} is named age_gender_race_date (gender 0 male, 1 female)")
    return people


def evaluate(people: Sequence[Person], subjects: Sequence[Subject[GenderAge]], find_face: FindFace) -> AgeGenderReport:
    """Everyone whose face is found, judged by every model. Raises UsageError if no face is found at all."""
    judged = [(person, looks(person.path, subjects, find_face)) for person in people]
    found = [(person, answers) for person, answers in judged if answers is not None]
    if not found:
        raise UsageError("no face was found in any of these pictures")
    rows = []
    for index, subject in enumerate(subjects):
        errors = np.array([answers[index].age_years - person.age_years for person, answers in found], np.float64)
        right = sum(answers[index].gender is person.gender for person, answers in found)
        rows.append(
            AgeGenderRow(subject.name, bootstrap_mean(np.abs(errors)), bootstrap_mean(errors), Share(right, len(found)))
        )
    without_face = tuple(person.path.name for person, answers in judged if answers is None)
    return AgeGenderReport(tuple(rows), len(found), without_face)
