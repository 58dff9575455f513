"""People for the gallery, made up: a face is a direction, drawn by its seed."""

from __future__ import annotations

import numpy as np

from streamapp.findings import Embedding
from streamapp.gallery.calibration import Calibration
from streamapp.gallery.fusion import Fusion, Member
from streamapp.gallery.people import Consent, Enrolment, Sample

NOW = 1_800_000_000.0
DAY_S = 86_400.0
MODELS = ("one", "two")
DIMENSIONS = 64
FUSION = Fusion(
    (
        Member(Calibration("one", (0.0, 0.1, 0.3), (0.0, 1.0, 2.5), 1000), 0.75),
        Member(Calibration("two", (0.0, 0.15), (0.0, 1.5), 1000), 0.25),
    )
)


def face(seed: int, *, noise: float = 0.0, take: int = 0, models: tuple[str, ...] = MODELS) -> dict[str, Embedding]:
    """Embeddings of the same face for the same seed; `noise` makes pictures of it differ, by `take`."""
    looks = {}
    for number, model in enumerate(models):
        direction = np.random.default_rng([seed, number]).standard_normal(DIMENSIONS)
        change = np.random.default_rng([seed, number, take, 1]).standard_normal(DIMENSIONS)
        looks[model] = Embedding.of(model, (direction + noise * change).astype(np.float32))
    return looks


def sample(seed: int, *, quality: float = 0.8, take: int = 0, noise: float = 0.0) -> Sample:
    return Sample(tuple(face(seed, noise=noise, take=take).values()), quality, NOW - 10)


def consent(*, until: float = NOW + 100 * DAY_S) -> Consent:
    return Consent("Ada herself, in writing", "text-2026-01", NOW - 60, until)


def enrolment(name: str, seed: int, *, samples: int = 2, until: float = NOW + 100 * DAY_S) -> Enrolment:
    takes = tuple(sample(seed, take=take, noise=0.2) for take in range(samples))
    return Enrolment(name, consent(until=until), takes)
