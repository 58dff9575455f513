"""Weights of an ensemble that its members' own figures bear out, from pictures of different people.

Each picture and its mirror image stand for two takes of one person, pictures of two people for two people. Fisher's
linear discriminant (1936) on the members' levels then says which weighted mean tells the two best; as no weight may be
negative, it is solved by non-negative least squares. A member that errs where a better one errs too gets little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from streamapp.errors import UsageError
from streamapp.evaluation.degradation import Degradation
from streamapp.evaluation.pictures import read_picture
from streamapp.evaluation.statistics import Scores, separation
from streamapp.evaluation.subject import FindFace, Subject, in_margin
from streamapp.findings import Embedding
from streamapp.gallery.calibration import Calibration

_MIN_PEOPLE = 20


@dataclass(frozen=True, slots=True)
class FittedWeight:
    """A member's share; the shares add up to 1. separation: its d' alone. correlation: of its errors on different
    people with those of the member of the highest d'."""

    model: str
    weight: float
    separation: float
    correlation: float


def fit_weights(
    files: Sequence[Path],
    subjects: Sequence[Subject[Embedding]],
    calibrations: Mapping[str, Calibration],
    find_face: FindFace,
    degradation: Degradation,
) -> list[FittedWeight]:
    """From pictures that each show a different person. Raises UsageError if a picture cannot be read or fewer than 20
    show a face."""
    rng = np.random.default_rng(0)
    takes: list[tuple[list[Scores], list[Scores]]] = []
    for path in files:
        rgb = read_picture(path)
        seen = []
        for take in (rgb, np.ascontiguousarray(rgb[:, ::-1])):
            face = in_margin(find_face, take)
            if face is not None:
                worse, where = degradation.applied(take, face, rng)
                seen.append([subject.look(worse, where).vector.astype(np.float64) for subject in subjects])
        if len(seen) == 2:
            takes.append((seen[0], seen[1]))
    if len(takes) < _MIN_PEOPLE:
        raise UsageError(f"{len(takes)} pictures with a face are too few: weights need {_MIN_PEOPLE} people or more")
    same = np.eye(len(takes), dtype=bool)
    levels = []
    for index, subject in enumerate(subjects):
        cosines = np.stack([first[index] for first, _ in takes]) @ np.stack([second[index] for _, second in takes]).T
        curve = calibrations[subject.name]
        levels.append([curve.level(float(cosine)) for cosine in cosines.ravel()])
    columns, labels = np.array(levels, np.float64), same.ravel()
    weights = fisher_weights(columns[:, labels], columns[:, ~labels])
    separations = [separation(column, labels) for column in columns]
    correlations = np.atleast_2d(np.corrcoef(columns[:, ~labels]))[int(np.argmax(separations))]
    return [
        FittedWeight(subject.name, float(weight), apart, float(correlation))
        for subject, weight, apart, correlation in zip(subjects, weights, separations, correlations, strict=True)
    ]


def fisher_weights(same: Scores, different: Scores) -> Scores:
    """Weights [M], 0 or more, adding up to 1, from levels [M, pairs] of the same and of different people: the weighted
    mean with the largest distance of the two means in terms of their spread."""
    spread = np.atleast_2d((np.cov(same) + np.cov(different)) / 2)
    distance = same.mean(axis=1) - different.mean(axis=1)
    lower = np.linalg.cholesky(spread)
    weights, _ = nnls(lower.T, np.linalg.solve(lower, distance))
    return np.asarray(weights / weights.sum(), np.float64)
