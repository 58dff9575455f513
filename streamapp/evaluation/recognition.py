"""How well recognisers tell people apart, each alone and fused, on labelled pairs of pictures.

Calibrations are never fitted on what they are tested with: they come from pictures of other people, or people are split
into groups, and a pair is scored by curves fitted on pairs of the other groups only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from statistics import NormalDist

import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.degradation import Degradation
from streamapp.evaluation.pictures import read_picture, read_table
from streamapp.evaluation.statistics import (
    Estimate,
    Labels,
    Scores,
    Share,
    accept_rate_at,
    auc,
    bootstrap,
    bootstrap_difference,
    separation,
)
from streamapp.evaluation.subject import FindFace, Subject, in_margin
from streamapp.findings import Embedding
from streamapp.gallery.calibration import Calibration
from streamapp.gallery.fusion import Fusion, Member

GROUPS = 5
FUSED = "fusion"
MEAN = "plain mean of cosines"

ONE_PERCENT_LEVEL = NormalDist().inv_cdf(0.99)
"""The level that stands for a FAR of 1 %."""


@dataclass(frozen=True, slots=True)
class Pair:
    first: str
    second: str
    same: bool


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A member of the ensemble under test."""

    subject: Subject[Embedding]
    weight: float

    @property
    def name(self) -> str:
        return self.subject.name


@dataclass(frozen=True, slots=True)
class Row:
    """What one model, or the fusion, reached."""

    name: str
    weight: float | None
    auc: Estimate
    tar_at_1_percent: Estimate
    tar_at_0_1_percent: Estimate
    separation: float


@dataclass(frozen=True, slots=True)
class FusionCheck:
    """The fusion against its best member, the one of the highest AUC, on the same pairs. auc_gain: its AUC less that
    member's. false_accepts: pairs of different people at or above the level that stands for a FAR of 1 %."""

    best_member: str
    auc_gain: Estimate
    false_accepts: Share


@dataclass(frozen=True, slots=True)
class RecognitionReport:
    rows: tuple[Row, ...]
    fusion: FusionCheck | None
    """None for a single model."""
    same_pairs: int
    different_pairs: int
    people: int
    without_face: tuple[str, ...]
    is_cross_validated: bool
    """Whether the calibrations came from the other groups of these pairs, not from elsewhere."""

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)


def read_pairs(path: Path) -> list[Pair]:
    """A CSV file with columns file_x, file_y and Decision (Yes or No). Raises UsageError."""
    rows = read_table(path, ("file_x", "file_y", "Decision"))
    try:
        return [Pair(row["file_x"], row["file_y"], {"Yes": True, "No": False}[row["Decision"]]) for row in rows]
    except KeyError as error:
        raise UsageError(f"{path}: Decision is Yes or No, not {error}") from error


def evaluate(
    folder: Path,
    pairs: Sequence[Pair],
    recognisers: Sequence[Recogniser],
    find_face: FindFace,
    *,
    calibrations: Mapping[str, Calibration] | None = None,
    degradation: Degradation = Degradation(),  # noqa: B008 - frozen
) -> RecognitionReport:
    """Every pair whose pictures both show a face, fused by `calibrations`, or by cross-validated ones. Faces are found
    before the pictures are made worse. Raises UsageError if a picture cannot be read or too few pairs are left."""
    files = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    embedded: dict[str, Mapping[str, Embedding]] = {}
    rng = np.random.default_rng(0)
    for name in files:
        rgb = read_picture(folder / name)
        face = find_face(rgb)
        if face is not None:
            rgb, face = degradation.applied(rgb, face, rng)
            embedded[name] = {r.name: r.subject.look(rgb, face) for r in recognisers}
    used = [pair for pair in pairs if pair.first in embedded and pair.second in embedded]
    same = np.array([pair.same for pair in used], bool)
    if not same.any() or same.all():
        raise UsageError("the pairs must be some of the same and some of different people")
    cosines = {
        r.name: np.array([embedded[p.first][r.name].similarity(embedded[p.second][r.name]) for p in used], np.float64)
        for r in recognisers
    }
    people = group_people(used)
    weights = {r.name: r.weight for r in recognisers}
    if calibrations is None:
        fused = cross_validated(used, people, cosines, weights, same)
    else:
        members = tuple(Member(calibrations[name], weight) for name, weight in weights.items())
        fused = _fused(Fusion(members), cosines, range(len(used)))
    columns = [(r.name, r.weight, cosines[r.name]) for r in recognisers]
    mean = np.mean([cosines[r.name] for r in recognisers], axis=0)
    rows = [_row(name, weight, scores, same) for name, weight, scores in columns]
    check = None
    if len(recognisers) > 1:
        best = max(rows, key=lambda row: (row.auc.value, row.separation)).name
        gain = bootstrap_difference(auc, fused, cosines[best], same)
        check = FusionCheck(best, gain, Share(int((fused[~same] >= ONE_PERCENT_LEVEL).sum()), int((~same).sum())))
        rows += [_row(MEAN, None, mean, same), _row(FUSED, None, fused, same)]
    return RecognitionReport(
        rows=tuple(rows),
        fusion=check,
        same_pairs=int(same.sum()),
        different_pairs=int((~same).sum()),
        people=len(set(people.values())),
        without_face=tuple(name for name in files if name not in embedded),
        is_cross_validated=calibrations is None,
    )


def group_people(pairs: Sequence[Pair]) -> dict[str, int]:
    """A number for each picture, the same for all pictures that pairs say are of one person."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for pair in pairs:
        first, second = find(pair.first), find(pair.second)
        if pair.same:
            root[second] = first
    numbers = {name: index for index, name in enumerate(sorted({find(name) for name in list(root)}))}
    return {name: numbers[find(name)] for name in root}


def cross_validated(
    pairs: Sequence[Pair],
    people: Mapping[str, int],
    cosines: Mapping[str, Scores],
    weights: Mapping[str, float],
    same: Labels,
) -> Scores:
    """The fused level of every pair, by calibrations that have seen neither of its people."""
    groups = np.array([sorted((people[pair.first] % GROUPS, people[pair.second] % GROUPS)) for pair in pairs])
    levels = np.full(len(pairs), np.nan)
    for held_out in combinations_with_replacement(range(GROUPS), 2):
        tested = np.flatnonzero((groups == held_out).all(axis=1))
        if not len(tested):
            continue
        fitting = ~np.isin(groups, held_out).any(axis=1) & ~same
        fusion = Fusion(
            tuple(Member(Calibration.fit(name, cosines[name][fitting]), weight) for name, weight in weights.items())
        )
        levels[tested] = _fused(fusion, cosines, tested)
    return levels


def calibrate(
    files: Sequence[Path],
    recognisers: Sequence[Recogniser],
    find_face: FindFace,
    degradation: Degradation = Degradation(),  # noqa: B008 - frozen
) -> list[Calibration]:
    """The curve of each model, from pictures that each show a different person. Faces are looked for in a margin, as
    some fill their picture. Raises UsageError if a picture cannot be read or too few show a face."""
    rng = np.random.default_rng(0)
    faces = []
    for path in files:
        rgb = read_picture(path)
        face = in_margin(find_face, rgb)
        if face is not None:
            faces.append(degradation.applied(rgb, face, rng))
    if len(faces) < 2:
        raise UsageError("a calibration needs pictures of different people, with faces that are found")
    curves = []
    for r in recognisers:
        vectors = np.stack([r.subject.look(rgb, face).vector for rgb, face in faces]).astype(np.float64)
        curves.append(Calibration.fit(r.name, (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]))
    return curves


def _fused(fusion: Fusion, cosines: Mapping[str, Scores], indices: Iterable[int]) -> Scores:
    pairs = ({name: float(scores[index]) for name, scores in cosines.items()} for index in indices)
    return np.array([fusion.fuse(pair).level for pair in pairs], np.float64)


def _row(name: str, weight: float | None, scores: Scores, same: Labels) -> Row:
    return Row(
        name,
        weight,
        bootstrap(auc, scores, same),
        bootstrap(accept_rate_at(0.01), scores, same),
        bootstrap(accept_rate_at(0.001), scores, same),
        separation(scores, same),
    )
