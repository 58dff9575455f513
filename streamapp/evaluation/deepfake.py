"""How well deepfake scores tell made faces from real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import LabelledPicture
from streamapp.evaluation.statistics import Estimate, Share, auc, bootstrap
from streamapp.evaluation.subject import FindFace, Subject, looks
from streamapp.findings import DeepfakeScore


@dataclass(frozen=True, slots=True)
class DeepfakeRow:
    """What one model reached: fakes below the threshold, and real faces at or above it."""

    model: str
    auc: Estimate
    missed: Share
    false_alarms: Share


@dataclass(frozen=True, slots=True)
class DeepfakeReport:
    rows: tuple[DeepfakeRow, ...]
    pictures: int
    without_face: tuple[str, ...]


def evaluate(
    pictures: Sequence[LabelledPicture],
    subjects: Sequence[Subject[DeepfakeScore]],
    find_face: FindFace,
    threshold: float,
) -> DeepfakeReport:
    """Every picture judged by every model; a score of `threshold` or more is taken for a fake. Raises UsageError for
    labels that begin with neither real, fake nor df, and where faces of one sort are lacking."""
    labels = {picture.label: is_fake(picture.label) for picture in pictures}
    found, fake, without_face = [], [], []
    for picture in pictures:
        answers = looks(picture.path, subjects, find_face)
        if answers is None:
            without_face.append(picture.path.name)
        else:
            found.append([answer.fake for answer in answers])
            fake.append(labels[picture.label])
    are_fake = np.array(fake, bool)
    if not are_fake.any() or are_fake.all():
        raise UsageError("both real and fake pictures with a face are needed")
    rows = []
    for subject, scores in zip(subjects, np.array(found, np.float64).T, strict=True):
        flagged = scores >= threshold
        rows.append(
            DeepfakeRow(
                subject.name,
                bootstrap(auc, scores, are_fake),
                Share(int((~flagged & are_fake).sum()), int(are_fake.sum())),
                Share(int((flagged & ~are_fake).sum()), int((~are_fake).sum())),
            )
        )
    return DeepfakeReport(tuple(rows), len(pictures), tuple(without_face))


def is_fake(label: str) -> bool:
    """Whether a label means a made face. Raises UsageError for a label that says neither."""
    word = label.lower()
    if word.startswith(("fake", "df", "deepfake")):
        return True
    if word.startswith("real"):
        return False
    raise UsageError(f"the label {label!r} begins with neither real, fake nor df")
