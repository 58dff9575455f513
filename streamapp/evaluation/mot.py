"""How well boxes with ids follow labelled people through a clip. Pure.

CLEAR MOT (Bernardin and Stiefelhagen 2008, doi:10.1155/2008/246309) with the matching of MOTChallenge: a person keeps
the track that had it last while the two overlap enough, the others are matched as closely as can be. IDF1 (Ristani et
al. 2016, arXiv:1609.01775): each person is given one track for the whole clip, so that most frames fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamapp.evaluation.clips import FrameLabels
from streamapp.faces import Floats
from streamapp.geometry import pairwise_iou

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """ids: [N]; boxes: [N, 4], x1 y1 x2 y2."""

    ids: NDArray[np.int64]
    boxes: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts by frame, [frames] each."""

    labelled: Counts
    reported: Counts
    """Boxes of tracks, without those on faces that are not judged."""
    found: Counts
    switches: Counts
    """People who are found again under another id."""
    fragments: Counts
    """People who are found again after they were missed."""
    kept: Counts
    """People found under the one id that fits them best over the whole clip."""

    @classmethod
    def joined(cls, tallies: Iterable[Tally]) -> Tally:
        parts = list(tallies)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def tally(labels: Sequence[FrameLabels], tracks: Sequence[TrackedFrame], min_iou: float) -> Tally:
    """Both by frame. A box counts from an overlap of `min_iou` on."""
    judged = [_judged(known, found, min_iou) for known, found in zip(labels, tracks, strict=True)]
    overlaps = [pairwise_iou(known.boxes, found.boxes) for known, found in zip(labels, judged, strict=True)]
    columns = np.zeros((3, len(labels)), np.int64)
    held: dict[int, int] = {}
    missed: set[int] = set()
    for frame, (known, found, iou) in enumerate(zip(labels, judged, overlaps, strict=True)):
        people, ids = known.ids.tolist(), found.ids.tolist()
        before = [(row, ids.index(held[p])) for row, p in enumerate(people) if held.get(p) in ids]
        matched = matches(iou, min_iou, before)
        for row, column in matched:
            person, track = people[row], ids[column]
            columns[:, frame] += (1, person in held and held[person] != track, person in missed)
            held[person] = track
        seen = {people[row] for row, _ in matched}
        missed = (missed - seen) | {person for person in people if person in held and person not in seen}
    found_each, switches, fragments = columns
    return Tally(
        labelled=np.array([len(known.ids) for known in labels], np.int64),
        reported=np.array([len(found.ids) for found in judged], np.int64),
        found=found_each,
        switches=switches,
        fragments=fragments,
        kept=_kept(labels, judged, overlaps, min_iou),
    )


def matches(iou: NDArray[np.float64], min_iou: float, held: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Pairs (label, box), one to one: those held before while they overlap enough, then as many as can be, as closely
    as can be."""
    fit = np.where(iou >= min_iou, iou, 0.0)
    kept: list[tuple[int, int]] = []
    for row, column in held:
        if fit[row, column] > 0:
            kept.append((row, column))
            fit[row], fit[:, column] = 0.0, 0.0
    rows, columns = linear_sum_assignment(np.where(fit > 0, fit + fit.size, 0.0), maximize=True)
    return kept + [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if fit[r, c] > 0]


def _judged(known: FrameLabels, found: TrackedFrame, min_iou: float) -> TrackedFrame:
    """Without the boxes on faces that are not judged."""
    if not len(known.ignored) or not len(found.ids):
        return found
    on_label = pairwise_iou(known.boxes, found.boxes).max(axis=0, initial=0.0) >= min_iou
    judged = on_label | (pairwise_iou(known.ignored, found.boxes).max(axis=0) < min_iou)
    return TrackedFrame(found.ids[judged], found.boxes[judged])


def _kept(
    labels: Sequence[FrameLabels],
    tracks: Sequence[TrackedFrame],
    overlaps: Sequence[NDArray[np.float64]],
    min_iou: float,
) -> Counts:
    people = {person: row for row, person in enumerate(sorted({int(p) for known in labels for p in known.ids}))}
    ids = {track: column for column, track in enumerate(sorted({int(t) for found in tracks for t in found.ids}))}
    together = np.zeros((len(people), len(ids)), np.int64)
    pairs: list[list[tuple[int, int]]] = []
    for known, found, iou in zip(labels, tracks, overlaps, strict=True):
        of_frame = [(people[int(known.ids[r])], ids[int(found.ids[c])]) for r, c in np.argwhere(iou >= min_iou)]
        pairs.append(of_frame)
        for pair in of_frame:
            together[pair] += 1
    chosen = set(zip(*(side.tolist() for side in linear_sum_assignment(together, maximize=True)), strict=True))
    return np.array([sum(pair in chosen for pair in of_frame) for of_frame in pairs], np.int64)
