"""Everything about one person as JSON, for the person who asks for it."""

from __future__ import annotations

import json
from dataclasses import asdict

from streamapp.gallery.audit import AuditEntry
from streamapp.gallery.changes import Export
from streamapp.gallery.people import Rejection, Sample
from streamapp.gallery.times import iso_time


def export_json(export: Export, *, with_embeddings: bool) -> str:
    """Times in ISO 8601, UTC. Embeddings, which are of no use to a reader, only if asked for."""
    person = export.record.person
    consent = asdict(person.consent) | {
        "given_at": iso_time(person.consent.given_at),
        "expires_at": iso_time(person.consent.expires_at),
    }
    document = {
        "id": str(person.id),
        "name": person.name,
        "consent": consent,
        "created_at": iso_time(person.created_at),
        "last_seen_at": iso_time(person.last_seen_at),
        "samples": [_sample(sample, with_embeddings) for sample in export.record.samples],
        "rejections": [_rejection(rejection, with_embeddings) for rejection in export.record.rejections],
        "audit": [_entry(entry) for entry in export.audit],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _sample(sample: Sample, with_embeddings: bool) -> dict[str, object]:
    embeddings = [
        {"model": e.model, "norm": e.norm} | ({"vector": e.vector.tolist()} if with_embeddings else {})
        for e in sample.embeddings
    ]
    return {"taken_at": iso_time(sample.taken_at), "quality": sample.quality, "embeddings": embeddings}


def _rejection(rejection: Rejection, with_embeddings: bool) -> dict[str, object]:
    face = None if rejection.sample is None else _sample(rejection.sample, with_embeddings)
    at = iso_time(rejection.rejected_at)
    return {"stream": rejection.stream, "track": rejection.track, "rejected_at": at, "face": face}


def _entry(entry: AuditEntry) -> dict[str, object]:
    return {
        "number": entry.number,
        "at": iso_time(entry.at),
        "actor": entry.actor,
        "action": entry.action.value,
        "details": dict(entry.details),
    }
