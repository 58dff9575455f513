"""Records as bytes, before they are sealed: a line of JSON, then for samples the vectors (little-endian float32)."""

from __future__ import annotations

import json
from dataclasses import asdict
from uuid import UUID

import numpy as np

from streamapp.errors import EnrolmentInvalid, GalleryUnusable
from streamapp.findings import Embedding
from streamapp.gallery.people import Consent, Person, Rejection, Sample


def pack_profile(name: str, consent: Consent) -> bytes:
    return json.dumps({"name": name, "consent": asdict(consent)}).encode()


def unpack_person(data: bytes, person_id: UUID, created_at: float, last_seen_at: float) -> Person:
    """Raises GalleryUnusable."""
    try:
        fields = json.loads(data)
        return Person(person_id, fields["name"], Consent(**fields["consent"]), created_at, last_seen_at)
    except (ValueError, TypeError, KeyError, EnrolmentInvalid) as error:
        raise GalleryUnusable(f"{person_id}: a profile that cannot be read") from error


def pack_sample(sample: Sample) -> bytes:
    head = {
        "quality": sample.quality,
        "taken_at": sample.taken_at,
        "embeddings": [[e.model, len(e.vector), e.norm] for e in sample.embeddings],
    }
    vectors = b"".join(e.vector.astype("<f4").tobytes() for e in sample.embeddings)
    return json.dumps(head).encode() + b"\n" + vectors


def unpack_sample(data: bytes) -> Sample:
    """Raises GalleryUnusable."""
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        vectors = np.frombuffer(rest, "<f4").astype(np.float32)
        embeddings: list[Embedding] = []
        start = 0
        for model, dimensions, norm in head["embeddings"]:
            embeddings.append(Embedding(model, vectors[start : start + dimensions], norm))
            start += dimensions
        if start != len(vectors):
            raise ValueError("vectors of another length")
        return Sample(tuple(embeddings), head["quality"], head["taken_at"])
    except (ValueError, TypeError, KeyError, EnrolmentInvalid) as error:
        raise GalleryUnusable("a sample that cannot be read") from error


def pack_rejection(rejection: Rejection) -> bytes:
    head = {"stream": rejection.stream, "track": rejection.track, "rejected_at": rejection.rejected_at}
    return json.dumps(head).encode() + b"\n" + (pack_sample(rejection.sample) if rejection.sample else b"")


def unpack_rejection(data: bytes) -> Rejection:
    """Raises GalleryUnusable."""
    line, _, rest = data.partition(b"\n")
    sample = unpack_sample(rest) if rest else None
    try:
        head = json.loads(line)
        return Rejection(head["stream"], head["track"], head["rejected_at"], sample)
    except (ValueError, TypeError, KeyError) as error:
        raise GalleryUnusable("a rejection that cannot be read") from error
