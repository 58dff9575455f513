"""What the analysis models say of one face."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamapp.errors import EmbeddingMismatch
from streamapp.faces import Floats

NO_MATCH = float("-inf")
"""The similarity of what cannot be compared: below every threshold, also after calibration and averaging."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A face as one model sees it. Two of the same model can be compared, two of different models never."""

    model: str
    """The manifest's name of the variant it comes from."""
    vector: Floats
    """float32 [D], length 1; all zeros where the model gave zeros or what is not a number."""
    norm: float
    """Length of the vector as the model gave it; short ones come from poor pictures. 0 if it was not finite."""

    @classmethod
    def of(cls, model: str, raw: Floats) -> Embedding:
        """From a model's raw output, float32 [D]."""
        norm = float(np.linalg.norm(raw.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0.0:
            return cls(model, np.zeros_like(raw), 0.0)
        return cls(model, (raw / norm).astype(np.float32), norm)

    @property
    def is_usable(self) -> bool:
        return self.norm > 0

    def similarity(self, other: Embedding) -> float:
        """Cosine, -1 to 1. An unusable embedding is like no other: NO_MATCH. Raises EmbeddingMismatch for an
        embedding of a different model."""
        if self.model != other.model or self.vector.shape != other.vector.shape:
            raise EmbeddingMismatch(f"an embedding of {self.model} cannot be compared with one of {other.model}")
        if not (self.is_usable and other.is_usable):
            return NO_MATCH
        return float(np.clip(self.vector @ other.vector, -1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Liveness:
    """How much a face looks like a living person: `live`, 0 to 1, and how the rest is shared among kinds of attack."""

    live: float
    attacks: tuple[tuple[str, float], ...]
    """Name and probability of each kind the model tells apart ("spoof" where it knows only one)."""


class Gender(StrEnum):
    """As the model was trained to tell: two classes, of appearance."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, slots=True)
class GenderAge:
    """Apparent gender and age."""

    male: float
    """0 to 1: the share of the male class in the softmax over both."""
    age_years: float

    @property
    def gender(self) -> Gender:
        return Gender.MALE if self.male >= 0.5 else Gender.FEMALE


@dataclass(frozen=True, slots=True)
class DeepfakeScore:
    """0 to 1: how much a face looks made or changed by a program. A hint, never a verdict."""

    fake: float
