"""Who faces are said to be, by the app or by single crops, against who they are. Pure.

An error is an episode: a face gets a wrong name and has it until that goes, however long that takes. Somebody who is
not enrolled and is given a name is a false match; somebody who is and gets another's, a wrong name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.evaluation.crop_log import Crop
from streamapp.evaluation.shown_faces import ShownFace, Told
from streamapp.evaluation.statistics import Estimate, Rate, Share, bootstrap_median, bootstrap_ratio
from streamapp.results import IdentityState


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """How one way of naming faces did. shift: how much its threshold lies above the app's, in levels."""

    shift: float
    recall: Estimate
    """Share of the time in which enrolled people show their faces that they have the right name."""
    wrong_time: Estimate
    """Share of the time in which faces are shown that they have a wrong one."""
    false_matches: Rate
    """An hour of video."""
    wrong_names: Rate
    """An hour of video."""
    first_s: Estimate
    """From the first sight of an enrolled person to the right name: the median of those who get it."""
    named: Share
    """Of the enrolled people in each clip, how many get it."""

    @property
    def errors(self) -> int:
        return self.false_matches.count + self.wrong_names.count


def equal_recall_shift(faces: Sequence[ShownFace], way: str) -> float:
    """How much higher the threshold of the crops alone may be so that they name enrolled people no less than the app;
    0, the app's own, if no threshold at all gets them there."""
    wanted_s = _right_s(faces, [face.told for face in faces])
    gains = sorted(
        (
            (crop.nearest.level - crop.nearest.threshold, face.lasts_s)
            for face in faces
            if (crop := face.crops.get(way)) is not None
            and crop.nearest is not None
            and crop.nearest.name == face.truth
            and face.is_there
        ),
        reverse=True,
    )
    reached_s = 0.0
    for shift, lasts_s in gains:
        reached_s += lasts_s
        if reached_s >= wanted_s - 1e-9:
            return shift
    return 0.0


def told_alone(faces: Sequence[ShownFace], way: str, shift: float) -> list[Told | None]:
    """What the newest crop of each face says of it, by a threshold that lies `shift` above the app's."""
    return [_of_crop(face.crops.get(way), shift) for face in faces]


def _of_crop(crop: Crop | None, shift: float) -> Told | None:
    if crop is None or not crop.was_compared:
        return None
    nearest = crop.nearest
    if nearest is not None and nearest.level - nearest.threshold >= shift:
        return IdentityState.IDENTIFIED, nearest.name
    return IdentityState.UNKNOWN, None


def identity_row(shift: float, faces: Sequence[ShownFace], told: Sequence[Told | None], video_s: float) -> IdentityRow:
    blocks = np.array([face.block for face in faces], np.int64)
    lasts = np.array([face.lasts_s for face in faces], np.float64)
    name = [None if one is None else one[1] for one in told]
    right = np.array([n is not None and n == face.truth for n, face in zip(name, faces, strict=True)], bool)
    wrong = np.array([n is not None and n != face.truth for n, face in zip(name, faces, strict=True)], bool)
    enrolled = np.array([face.truth is not None and face.is_there for face in faces], bool)
    tracked = np.array([face.track is not None for face in faces], bool)
    false_matches, wrong_names = _episodes(faces, name)
    first_s = _first_right_s(faces, right)
    given = np.array([s for s in first_s if s is not None], np.float64)
    return IdentityRow(
        shift,
        bootstrap_ratio(lasts * (right & enrolled), lasts * enrolled, blocks),
        bootstrap_ratio(lasts * wrong, lasts * tracked, blocks),
        Rate(false_matches, video_s / 3600),
        Rate(wrong_names, video_s / 3600),
        bootstrap_median(given),
        Share(len(given), len(first_s)),
    )


def _right_s(faces: Sequence[ShownFace], told: Sequence[Told | None]) -> float:
    named = ((face, one[1]) for face, one in zip(faces, told, strict=True) if one is not None)
    return sum(face.lasts_s for face, name in named if name is not None and name == face.truth and face.is_there)


def _episodes(faces: Sequence[ShownFace], names: Sequence[str | None]) -> tuple[int, int]:
    """False matches, and wrong names of enrolled people."""
    counts = [0, 0]
    holds: dict[tuple[str, int], str | None] = {}
    for face, name in zip(faces, names, strict=True):
        if face.track is None:
            continue
        wrong = name if name != face.truth else None
        if wrong is not None and holds.get((face.clip, face.track)) != wrong:
            counts[face.truth is not None] += 1
        holds[face.clip, face.track] = wrong
    return counts[0], counts[1]


def _first_right_s(faces: Sequence[ShownFace], right: Iterable[bool]) -> list[float | None]:
    """Of each enrolled person in each clip, from their first sight on; None for those who never get their name."""
    seen_s: dict[tuple[str, str], float] = {}
    named_s: dict[tuple[str, str], float] = {}
    for face, is_right in zip(faces, right, strict=True):
        if face.truth is not None and face.is_there:
            seen_s.setdefault((face.clip, face.truth), face.at_s)
            if is_right:
                named_s.setdefault((face.clip, face.truth), face.at_s)
    return [named_s[who] - at_s if who in named_s else None for who, at_s in seen_s.items()]
