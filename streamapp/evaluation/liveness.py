"""How often anti-spoofing is fooled, and how often it turns living people away.

Terms of ISO/IEC 30107-3: APCER is the share of attacks taken for living people, for each kind of attack on its own;
BPCER the share of living people taken for attacks. ACER, no longer part of the standard, is the mean of BPCER and the
highest APCER. Pictures in which no face is found are no answer (APNRR, BPNRR) and count in neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import LabelledPicture
from streamapp.evaluation.statistics import Share
from streamapp.evaluation.subject import FindFace, Subject, looks
from streamapp.findings import Liveness

LIVE = "live"
ATTACK = "attack"


@dataclass(frozen=True, slots=True)
class AttackRow:
    kind: str
    apcer: Share


@dataclass(frozen=True, slots=True)
class LivenessRow:
    """What one model reached; attacks by kind."""

    model: str
    attacks: tuple[AttackRow, ...]
    bpcer: Share

    @property
    def acer(self) -> float:
        """Not a number where a kind of attack, or living people, had no answer at all."""
        highest = max(row.apcer.estimate.value for row in self.attacks)
        return float(np.mean((highest, self.bpcer.estimate.value)))


@dataclass(frozen=True, slots=True)
class LivenessReport:
    rows: tuple[LivenessRow, ...]
    pictures: int
    without_face: tuple[str, ...]


def evaluate(
    pictures: Sequence[LabelledPicture], subjects: Sequence[Subject[Liveness]], find_face: FindFace, threshold: float
) -> LivenessReport:
    """Every picture judged by every model; a score of `threshold` or more is taken for a living person. Raises
    UsageError for labels other than live, attack and attack-KIND, and where live or attack is lacking."""
    kinds = {label: attack_kind(label) for label in sorted({picture.label for picture in pictures})}
    if LIVE not in kinds or len(kinds) < 2:
        raise UsageError("both living people (live) and attacks (attack-KIND) are needed")
    scores: dict[str, list[tuple[float, ...]]] = {label: [] for label in kinds}
    without_face = []
    for picture in pictures:
        found = looks(picture.path, subjects, find_face)
        if found is None:
            without_face.append(picture.path.name)
        else:
            scores[picture.label].append(tuple(liveness.live for liveness in found))
    rows = []
    for index, subject in enumerate(subjects):
        passed = {label: Share(sum(s[index] >= threshold for s in of), len(of)) for label, of in scores.items()}
        live = passed[LIVE]
        attacks = tuple(AttackRow(kind, passed[label]) for label, kind in kinds.items() if kind is not None)
        rows.append(LivenessRow(subject.name, attacks, Share(live.total - live.count, live.total)))
    return LivenessReport(tuple(rows), len(pictures), tuple(without_face))


def attack_kind(label: str) -> str | None:
    """`attack-print` is "print", `attack` alone "attack", `live` None. Raises UsageError for anything else."""
    if label == LIVE:
        return None
    head, _, kind = label.partition("-")
    if head != ATTACK:
        raise UsageError(f"the label {label!r} is neither {LIVE} nor {ATTACK}-KIND")
    return kind or ATTACK
