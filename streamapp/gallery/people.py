"""Who is in the gallery, and what is known of them. Times are Unix time in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from streamapp.errors import EnrolmentInvalid
from streamapp.findings import Embedding

NameOf = Callable[[UUID], str | None]
"""The name of a person; None for somebody who is not, or no longer, in the gallery."""
MAX_NAME_LENGTH = 200
_LENGTH_TOLERANCE = 1e-3
MAX_SAMPLES = 50
"""Pictures of one person, at most."""
MAX_REJECTIONS = 50
"""Of one person; beyond it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Why this person may be recognised. Raises EnrolmentInvalid if it does not say who, to what and until when."""

    given_by: str
    """The person, or who may speak for them."""
    text_version: str
    """Which text they agreed to."""
    given_at: float
    expires_at: float

    def __post_init__(self) -> None:
        if not self.given_by.strip() or not self.text_version.strip():
            raise EnrolmentInvalid("consent must say who gave it and to which text")
        if not (math.isfinite(self.given_at) and math.isfinite(self.expires_at) and self.given_at < self.expires_at):
            raise EnrolmentInvalid("consent must say since when and until when it holds")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a face as the recognisers saw it; the picture itself is not kept. Raises EnrolmentInvalid."""

    embeddings: tuple[Embedding, ...]
    """One per model, all usable."""
    quality: float
    """Above 0, up to 1: its weight among the samples of a person."""
    taken_at: float

    def __post_init__(self) -> None:
        models = [embedding.model for embedding in self.embeddings]
        if not models or len(set(models)) != len(models):
            raise EnrolmentInvalid("a sample has one embedding of each of its models, and at least one")
        for embedding in self.embeddings:
            if not is_sound(embedding):
                raise EnrolmentInvalid(f"the embedding of {embedding.model} is zero or not a number")
        if not 0 < self.quality <= 1 or not math.isfinite(self.taken_at):
            raise EnrolmentInvalid("a sample has a quality above 0, up to 1, and a time")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Somebody said of a face: this is not that person."""

    stream: str
    track: int
    rejected_at: float
    sample: Sample | None
    """What the face looked like, where that may be kept."""


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    """Made by the store."""
    name: str
    consent: Consent
    created_at: float
    last_seen_at: float
    """When they were enrolled, until they are seen."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is needed to put somebody into the gallery. Raises EnrolmentInvalid."""

    name: str
    consent: Consent
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        valid_name(self.name)
        if not 1 <= len(self.samples) <= MAX_SAMPLES:
            raise EnrolmentInvalid(f"a person is enrolled with 1 to {MAX_SAMPLES} samples")


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Everything the gallery keeps of one person, oldest first."""

    person: Person
    samples: tuple[Sample, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A person as faces are compared with: one embedding per model, and the faces known not to be them."""

    person_id: UUID
    expires_at: float
    """From then on they match nobody, whether or not they are erased yet."""
    embeddings: Mapping[str, Embedding]
    rejected: tuple[Mapping[str, Embedding], ...] = ()


def valid_name(name: str) -> str:
    """Raises EnrolmentInvalid for an empty or endless name."""
    if not name.strip() or len(name) > MAX_NAME_LENGTH:
        raise EnrolmentInvalid(f"a name has 1 to {MAX_NAME_LENGTH} characters")
    return name


def is_sound(embedding: Embedding) -> bool:
    """Whether it may be compared: its vector is of length 1, so neither zero nor anything that is not a number."""
    return embedding.is_usable and abs(float(embedding.vector @ embedding.vector) - 1) < _LENGTH_TOLERANCE
