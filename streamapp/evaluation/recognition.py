"""How well recognisers tell people apart, each alone and fused, on labelled pairs of pictures.

Calibrations are never fitted on what they are tested with: they come from pictures of other people, or people are split
into groups, and a pair is scored by curves fitted on pairs of the other groups only.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import cv2
import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.statistics import Estimate, Labels, Scores, accept_rate_at, auc, bootstrap, separation
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.gallery.calibration import Calibration
from streamapp.gallery.fusion import Fusion, Member
from streamapp.zoo.base import Face, FaceModel, ModelSession, infer

GROUPS = 5
FUSED = "fusion"
MEAN = "plain mean of cosines"

FindFace = Callable[[Image], Face | None]
"""The largest face of an RGB picture, with landmarks."""


@dataclass(frozen=True, slots=True)
class Pair:
    first: str
    second: str
    same: bool


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A member of the ensemble under test."""

    model: FaceModel[Embedding]
    session: ModelSession
    weight: float

    @property
    def name(self) -> str:
        return self.model.spec.variant


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
class RecognitionReport:
    rows: tuple[Row, ...]
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
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return [Pair(row["file_x"], row["file_y"], {"Yes": True, "No": False}[row["Decision"]]) for row in rows]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no list of pairs (file_x, file_y, Decision): {error}") from error


def evaluate(
    folder: Path,
    pairs: Sequence[Pair],
    recognisers: Sequence[Recogniser],
    find_face: FindFace,
    *,
    calibrations: Mapping[str, Calibration] | None = None,
    face_px: int | None = None,
) -> RecognitionReport:
    """Every pair whose pictures both show a face, fused by `calibrations`, or by cross-validated ones.

    `face_px` scales faces down to that width first: how it would be with people far away. Raises UsageError if a
    picture cannot be read or too few pairs are left."""
    files = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    embedded: dict[str, Mapping[str, Embedding]] = {}
    for name in files:
        rgb = _read(folder / name)
        face = find_face(rgb)
        if face is not None:
            rgb, face = _shrunk(rgb, face, face_px)
            embedded[name] = {r.name: infer(r.session, r.model, [r.model.cut(rgb, face)])[0] for r in recognisers}
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
    if len(recognisers) > 1:
        rows += [_row(MEAN, None, mean, same), _row(FUSED, None, fused, same)]
    return RecognitionReport(
        rows=tuple(rows),
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


def calibrate(files: Sequence[Path], recognisers: Sequence[Recogniser], find_face: FindFace) -> list[Calibration]:
    """The curve of each model, from pictures that each show a different person. A margin is added around each picture,
    for faces that fill it. Raises UsageError if a picture cannot be read or too few show a face."""
    faces = []
    for path in files:
        rgb = _read(path)
        margin = max(rgb.shape[:2]) // 2
        rgb = np.asarray(cv2.copyMakeBorder(rgb, margin, margin, margin, margin, cv2.BORDER_CONSTANT), np.uint8)
        face = find_face(rgb)
        if face is not None:
            faces.append((rgb, face))
    if len(faces) < 2:
        raise UsageError("a calibration needs pictures of different people, with faces that are found")
    curves = []
    for r in recognisers:
        found = [infer(r.session, r.model, [r.model.cut(rgb, face)])[0].vector for rgb, face in faces]
        vectors = np.stack(found).astype(np.float64)
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


def _read(path: Path) -> Image:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise UsageError(f"{path} is not a picture that can be read")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _shrunk(rgb: Image, face: Face, face_px: int | None) -> tuple[Image, Face]:
    width = float(face.box[2] - face.box[0])
    if face_px is None or width <= face_px:
        return rgb, face
    scale = face_px / width
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    landmarks = None if face.landmarks is None else (face.landmarks * np.float32(scale)).astype(np.float32)
    return np.asarray(small, np.uint8), Face((face.box * np.float32(scale)).astype(np.float32), landmarks)
