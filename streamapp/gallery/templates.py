"""A person's samples as one embedding per model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

import numpy as np

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.gallery.people import PersonRecord, Rejection, Sample, Template


def template_of(record: PersonRecord) -> Template:
    return make_template(record.person.id, record.person.consent.expires_at, record.samples, record.rejections)


def make_template(
    person_id: UUID, expires_at: float, samples: Iterable[Sample], rejections: Iterable[Rejection] = ()
) -> Template:
    faces = tuple(rejection.sample for rejection in rejections if rejection.sample is not None)
    rejected = tuple({e.model: e for e in face.embeddings} for face in faces)
    return Template(person_id, expires_at, pooled(samples), rejected)


def pooled(samples: Iterable[Sample]) -> Mapping[str, Embedding]:
    """By model, the mean direction of its embeddings, weighted by quality. The best of several would make everybody
    more alike the more pictures they gave, so that a calibrated level would no longer be the rate it stands for."""
    sums: dict[str, Floats] = {}
    for sample in samples:
        for embedding in sample.embeddings:
            weighted = np.float32(sample.quality) * embedding.vector
            known = sums.get(embedding.model)
            if known is not None and known.shape != weighted.shape:
                continue  # of another make under the same name
            sums[embedding.model] = weighted if known is None else known + weighted
    means = (Embedding.of(model, total) for model, total in sums.items())
    return {mean.model: mean for mean in means if mean.is_usable}
