"""A gallery for one measurement: made of pictures, in a folder of its own, gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import read_picture
from streamapp.faces import Mode
from streamapp.gallery.people import Consent, Enrolment, Sample
from streamapp.geometry import box_areas
from streamapp.models import Models
from streamapp.pipeline.examiner import Asker
from streamapp.scheduler.api import Priority
from streamapp.settings import Settings

CLIENT = "evaluate"
DEADLINE_S = 600.0
"""Nothing that is measured is late."""
_DAY_S = 86400.0


def with_empty_gallery(settings: Settings, folder: Path) -> Settings:
    """The same settings with a gallery that nobody is in, below `folder`."""
    chosen = {"file": folder / "gallery.db", "key_file": folder / "gallery.key", "backend": "sqlite", "pgvector": False}
    gallery = type(settings.gallery).model_validate(settings.gallery.model_dump() | chosen)
    return settings.model_copy(update={"gallery": gallery})


async def enroll(models: Models, people: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Enrolls the largest face of each picture; gives the pictures without one that can be recognised. Raises
    UsageError if somebody has no other, and what the gallery and the models raise."""
    await models.require(Mode.FULL)
    lacking: list[Path] = []
    for name, pictures in people.items():
        samples = [await sample_of(models, path) for path in pictures]
        lacking += [path for path, sample in zip(pictures, samples, strict=True) if sample is None]
        usable = tuple(sample for sample in samples if sample is not None)
        if not usable:
            raise UsageError(f"no picture of {name} shows a face that can be recognised")
        now = time.time()
        consent = Consent("whoever measures", "for this measurement", now - 1, now + _DAY_S)
        await models.identification.gallery.enroll(Enrolment(name, consent, usable), actor=CLIENT, now=now)
    return lacking


async def sample_of(models: Models, path: Path) -> Sample | None:
    """The largest face of a picture, as the recognisers see it; None where there is none. Raises UsageError."""
    asker = Asker(CLIENT, Priority.IMAGE, time.monotonic() + DEADLINE_S, "enrolled")
    examination = await models.examiner.examine(read_picture(path), Mode.FULL, asker)
    if not examination.faces:
        return None
    largest = int(np.argmax(box_areas(np.array([face.box for face in examination.faces]))))
    found = examination.findings[largest].identification
    return None if found is None else Sample(tuple(found.embeddings.values()), 1.0, time.time())
