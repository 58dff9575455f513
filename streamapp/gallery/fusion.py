"""Several recognisers, one score: the weighted mean of their calibrated levels.

Members that are not there, because their model is not loaded or the gallery has no embedding of it, are named, and the
weights of the others grow to fill their place. An embedding that is there but unusable (zeros, not a number) makes the
pair match nobody: what a broken picture looks like is not evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamapp.errors import UsageError
from streamapp.findings import NO_MATCH, Embedding
from streamapp.gallery.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Member:
    """One recogniser of the ensemble. The weights of all need not add up to 1."""

    calibration: Calibration
    weight: float

    @property
    def model(self) -> str:
        return self.calibration.model


@dataclass(frozen=True, slots=True)
class MemberScore:
    """What one member says of two faces. `weight` is its share in this score; the shares add up to 1."""

    model: str
    cosine: float
    level: float
    weight: float


@dataclass(frozen=True, slots=True)
class FusedScore:
    """How alike two faces are, on the calibrated scale; minus infinity is no match at all. As the members do not err
    alike, faces of different people reach a mean level more rarely than it says."""

    level: float
    scores: tuple[MemberScore, ...]
    missing: tuple[str, ...]
    """Members that took no part."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """The ensemble; without members it compares nobody. Raises UsageError for repeated members, or weights that are not
    positive."""

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        models = [member.model for member in self.members]
        if len(set(models)) != len(models) or not all(member.weight > 0 for member in self.members):
            raise UsageError("an ensemble has members of different models, with weights above 0")

    def compare(self, first: Mapping[str, Embedding], second: Mapping[str, Embedding]) -> FusedScore:
        """Two faces, by their embeddings under the names of the models. Only embeddings of the same model are compared.
        Raises EmbeddingMismatch if one is filed under another model's name."""
        shared = {model: first[model].similarity(second[model]) for model in first.keys() & second.keys()}
        return self.fuse(shared)

    def fuse(self, cosines: Mapping[str, float]) -> FusedScore:
        """The score of two faces from each member's cosine."""
        present = [member for member in self.members if member.model in cosines]
        missing = tuple(member.model for member in self.members if member.model not in cosines)
        total = sum(member.weight for member in present)
        scores = tuple(
            MemberScore(
                member.model,
                cosines[member.model],
                member.calibration.level(cosines[member.model]),
                member.weight / total,
            )
            for member in present
        )
        level = sum(score.level * score.weight for score in scores) if scores else NO_MATCH
        return FusedScore(level, scores, missing)
