"""How right and how calm the app is over time, against what each crop says by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from streamapp.evaluation.clips import LabelledClip
from streamapp.evaluation.crop_log import LABELS, CropLog, SteadyLook
from streamapp.evaluation.enrolling import enroll
from streamapp.evaluation.identity_errors import IdentityRow, equal_recall_shift, identity_row, told_alone
from streamapp.evaluation.playback import play
from streamapp.evaluation.shown_faces import ShownFace, Told, shown_faces
from streamapp.evaluation.statistics import Estimate, Rate, times_fewer
from streamapp.evaluation.tracking import durations_s
from streamapp.faces import Mode
from streamapp.results import IdentityState, LivenessState
from streamapp.runtime import Runtime

SAME_CROPS, STEADY = "its crops alone", "steady crops alone"
GOAL = 1 / 3
"""Errors of the app to each of the crops alone, at most."""
NAME = "name"
_OPEN = frozenset({IdentityState.UNDECIDED.value, LivenessState.UNDECIDED.value})
"""What is said before anything is: the way from there is no change."""


@dataclass(frozen=True, slots=True)
class FlickerRow:
    """How often a label changes, a minute of a face with that label."""

    label: str
    app: Rate
    alone: Rate

    @property
    def ratio(self) -> Estimate:
        return times_fewer(self.app.count, self.alone.count)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The app against single crops, taken in one way."""

    way: str
    app: IdentityRow
    same_threshold: IdentityRow
    equal_recall: IdentityRow
    """With the highest threshold at which enrolled people are named no less than by the app; with the app's own if none
    gets there."""
    flicker: tuple[FlickerRow, ...]
    """Of the name, at equal recall, and of the other labels."""

    @property
    def error_ratio(self) -> Estimate:
        return times_fewer(self.app.errors, self.equal_recall.errors)

    @property
    def flicker_ratio(self) -> Estimate:
        return times_fewer(sum(row.app.count for row in self.flicker), sum(row.alone.count for row in self.flicker))

    @property
    def meets_goal(self) -> bool:
        """Where neither made an error there is nothing to compare."""
        return not self.error_ratio.value > GOAL and not self.flicker_ratio.value > GOAL


@dataclass(frozen=True, slots=True)
class StabilityReport:
    """comparisons: with SAME_CROPS and with STEADY; crops: how many of each there were. without_face: pictures of which
    nobody could be enrolled."""

    comparisons: tuple[Comparison, ...]
    crops: tuple[int, ...]
    clips: int
    enrolled: int
    video_s: float
    face_s: float
    without_face: tuple[Path, ...]


async def measure(
    clips: Sequence[LabelledClip],
    people: Mapping[str, Sequence[Path]],
    runtime: Runtime,
    *,
    every_s: float,
    min_iou: float,
) -> StabilityReport:
    """Enrolls everybody and plays every clip in mode full. Raises UsageError for labels beyond a clip's end, and what
    enrolling and playing raise."""
    models = runtime.models
    without_face = await enroll(models, people)
    faces: list[ShownFace] = []
    video_s, counts = 0.0, Counter[str]()
    for clip in clips:
        board, steady = CropLog(models.vote_rules, models.name_of), SteadyLook(models, every_s)
        results = await play(runtime, clip.path, Mode.FULL, board, [steady])
        clip.check_length(len(results))
        crops = {SAME_CROPS: board.crops, STEADY: steady.crops}
        counts.update({way: len(of_way) for way, of_way in crops.items()})
        faces += shown_faces(clip, results, crops, min_iou=min_iou, first_block=faces[-1].block + 1 if faces else 0)
        video_s += sum(durations_s(results))
    return StabilityReport(
        tuple(compare(faces, way, video_s) for way in (SAME_CROPS, STEADY)),
        (counts[SAME_CROPS], counts[STEADY]),
        len(clips),
        len(people),
        video_s,
        sum(face.lasts_s for face in faces if face.track is not None),
        tuple(without_face),
    )


def compare(faces: Sequence[ShownFace], way: str, video_s: float) -> Comparison:
    """All faces of all clips, each clip's in the order of its frames."""
    told, shift = [face.told for face in faces], equal_recall_shift(faces, way)
    equal = told_alone(faces, way, shift)
    flicker = [FlickerRow(NAME, _changes(faces, _names(told)), _changes(faces, _names(equal)))]
    flicker += [
        FlickerRow(
            label,
            _changes(faces, [face.labels.get(label) for face in faces]),
            _changes(faces, [face.crops[way].labels.get(label) if way in face.crops else None for face in faces]),
        )
        for label in LABELS
    ]
    return Comparison(
        way,
        identity_row(0.0, faces, told, video_s),
        identity_row(0.0, faces, told_alone(faces, way, 0.0), video_s),
        identity_row(shift, faces, equal, video_s),
        tuple(row for row in flicker if row.app.units > 0),
    )


def _names(told: Sequence[Told | None]) -> list[str | None]:
    """As labels: the state, and the name where there is one."""
    return [None if one is None else one[0].value if one[1] is None else f"{one[0].value} {one[1]}" for one in told]


def _changes(faces: Sequence[ShownFace], labels: Sequence[str | None]) -> Rate:
    """Of each face's label, once there is one; a minute of a face with that label."""
    shown = [(face, label) for face, label in zip(faces, labels, strict=True) if label is not None]
    of_face: Callable[[tuple[ShownFace, str]], tuple[str, str]] = lambda one: (one[0].clip, one[0].face)  # noqa: E731
    count = 0
    for _, group in groupby(sorted(shown, key=of_face), of_face):
        values = [label for _, label in group]
        first = next((index for index, label in enumerate(values) if label not in _OPEN), len(values))
        count += sum(a != b for a, b in pairwise(values[first:]))
    return Rate(count, sum(face.lasts_s for face, _ in shown) / 60)
