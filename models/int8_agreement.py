"""Whether an int8 form answers as its net does, for build_int8.py: one function for each kind of answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from streamapp.evaluation.recognition import Pair
from streamapp.evaluation.statistics import accept_rate_at, auc, separation
from streamapp.faces import Detections, Floats
from streamapp.findings import DeepfakeScore, Embedding, GenderAge, Liveness
from streamapp.frame import Image
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import Face, FaceModel, ModelSession, infer

FaceIn = tuple[Image, Face]
SURE = 0.1
"""A box so far above the detector's threshold must not be lost; nearer to it any change may tip it."""
SAME_BOX = 0.5
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which the int8 form is held against the net."""

    what: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'ok  ' if self.holds else 'FAIL'}  {self.what}: {self.value:.4f} ({sign} {self.limit:g})"


def embeddings_agree(before: Sequence[Embedding], after: Sequence[Embedding]) -> list[Check]:
    cosines = [float(a.vector @ b.vector) for a, b in zip(before, after, strict=True)]
    return [
        Check("cosine between the two, median", median(cosines), 0.98),
        Check("cosine between the two, least", min(cosines), 0.95),
    ]


def liveness_agrees(before: Sequence[Liveness], after: Sequence[Liveness]) -> list[Check]:
    return scores_agree([a.live for a in before], [b.live for b in after])


def deepfake_agrees(before: Sequence[DeepfakeScore], after: Sequence[DeepfakeScore]) -> list[Check]:
    return scores_agree([a.fake for a in before], [b.fake for b in after])


def scores_agree(before: Sequence[float], after: Sequence[float]) -> list[Check]:
    off = np.abs(np.subtract(before, after))
    same = np.equal(np.greater(before, 0.5), np.greater(after, 0.5))
    return [
        Check("same side of one half", float(same.mean()), 0.98),
        Check("mean difference of the score", float(off.mean()), 0.02, at_least=False),
    ]


def ages_agree(before: Sequence[GenderAge], after: Sequence[GenderAge]) -> list[Check]:
    pairs = list(zip(before, after, strict=True))
    years = [abs(a.age_years - b.age_years) for a, b in pairs]
    return [
        Check("same gender", float(np.mean([a.gender is b.gender for a, b in pairs])), 0.98),
        Check("mean difference in years", float(np.mean(years)), 1.0, at_least=False),
    ]


def boxes_agree(before: Sequence[Detections], after: Sequence[Detections], min_score: float) -> list[Check]:
    overlaps, kept, real = [], [], []
    for a, b in zip(before, after, strict=True):
        iou = pairwise_iou(a.boxes, b.boxes)
        best, best_after = iou.max(axis=1, initial=0.0), iou.max(axis=0, initial=0.0)
        kept += list(best[a.scores >= min_score + SURE] >= SAME_BOX)
        real += list(best_after[b.scores >= min_score + SURE] >= SAME_BOX)
        overlaps += list(best[best >= SAME_BOX])
    return [
        Check(f"share of {len(kept)} sure boxes kept", float(np.mean(kept)), 0.98),
        Check(f"share of {len(real)} sure new boxes that were there", float(np.mean(real)), 0.98),
        Check("their overlap, mean", float(np.mean(overlaps)), 0.95),
    ]


def people_are_told_apart(
    pairs: Sequence[Pair], faces: Mapping[str, FaceIn], model: FaceModel[Embedding], both: Sequence[ModelSession]
) -> list[Check]:
    """AUC, TAR at FAR 1 % and separation of the net and of its int8 form, which may lose next to nothing."""
    used = [pair for pair in pairs if pair.first in faces and pair.second in faces]
    same = np.array([pair.same for pair in used], bool)
    reached = []
    for session in both:
        found = {name: infer(session, model, [model.cut(*face)])[0].vector for name, face in faces.items()}
        scores = np.array([found[pair.first] @ found[pair.second] for pair in used], np.float64)
        reached.append((auc(scores, same), accept_rate_at(0.01)(scores, same), separation(scores, same)))
    (auc_before, tar_before, gap_before), (auc_after, tar_after, gap_after) = reached
    return [
        Check(f"AUC on {len(used)} pairs, {auc_before:.4f} before", auc_after, auc_before - 0.002),
        Check(f"TAR at FAR 1 % on them, {tar_before:.4f} before", tar_after, tar_before - 0.03),
        Check(f"separation d' on them, {gap_before:.3f} before", gap_after, 0.97 * gap_before),
    ]


def faster(before: ModelSession, after: ModelSession, given: Floats) -> Check:
    """In turns, on one thread."""
    taken_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for times, session in zip(taken_s, (before, after), strict=True):
            start = time.perf_counter()
            session.run(given)
            times.append(time.perf_counter() - start)
    old_s, new_s = map(median, taken_s)
    return Check(f"times as fast ({1e3 * old_s:.2f} ms before, {1e3 * new_s:.2f} ms after)", old_s / new_s, 1.1)
