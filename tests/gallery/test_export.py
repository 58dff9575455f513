"""What a person gets who asks what is kept of them."""

from __future__ import annotations

import json
from uuid import UUID

from streamapp.gallery.audit import AuditAction, AuditHead, append
from streamapp.gallery.changes import Export
from streamapp.gallery.export import export_json
from streamapp.gallery.people import Person, PersonRecord, Rejection
from streamapp.gallery.times import iso_time
from tests.gallery.enrolments import NOW, consent, sample

ID = UUID(int=9)
EXPORT = Export(
    PersonRecord(
        Person(ID, "Adaç", consent(), NOW, NOW + 5),
        (sample(1), sample(2)),
        (Rejection("door", 4, NOW, sample(3)), Rejection("door", 5, NOW, None)),
    ),
    (append(AuditHead(), NOW, "cli", AuditAction.ENROLLED, ID, {"samples": 2}),),
)


def test_everything_is_in_it() -> None:
    document = json.loads(export_json(EXPORT, with_embeddings=True))
    assert (document["id"], document["name"]) == (str(ID), "Adaç")
    assert document["consent"]["given_by"] == consent().given_by
    assert document["consent"]["text_version"] == consent().text_version
    assert document["consent"]["expires_at"] == iso_time(consent().expires_at)
    assert document["last_seen_at"] == iso_time(NOW + 5)
    vectors = [e["vector"] for s in document["samples"] for e in s["embeddings"]]
    assert vectors == [e.vector.tolist() for s in EXPORT.record.samples for e in s.embeddings]
    assert [(r["stream"], r["track"], r["face"] is None) for r in document["rejections"]] == [
        ("door", 4, False),
        ("door", 5, True),
    ]
    assert document["audit"][0]["action"] == "enrolled"


def test_numbers_of_the_face_are_left_out_unless_asked_for() -> None:
    document = json.loads(export_json(EXPORT, with_embeddings=False))
    assert [e["model"] for e in document["samples"][0]["embeddings"]] == ["one", "two"]
    assert "vector" not in export_json(EXPORT, with_embeddings=False)
