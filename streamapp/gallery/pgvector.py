"""Search inside PostgreSQL by the vector extension: for galleries too large for the memory of this process.

The extension cannot search what is encrypted, so this table holds the vectors plain: docs/adr/0010. It exists only
while the setting `gallery.pgvector` is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from streamapp.findings import Embedding
from streamapp.gallery.database import Session
from streamapp.gallery.people import Template
from streamapp.gallery.tables import GalleryTables
from streamapp.gallery.templates import template_of

_CLOSEST = """SELECT v.person_id FROM vectors v JOIN people p ON p.id = v.person_id
WHERE v.model = ? AND vector_dims(v.vector) = ? AND p.expires_at > ? ORDER BY v.vector <=> ?::vector LIMIT ?"""
_DISTANCES = """SELECT person_id, vector <=> ?::vector FROM vectors
WHERE model = ? AND vector_dims(vector) = ? AND person_id IN ({})"""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What the database found: cosines by person and model, and the faces known not to be these people."""

    version: int
    people: int
    """How many were searched."""
    cosines: Mapping[UUID, Mapping[str, float]]
    rejected: Mapping[UUID, tuple[Mapping[str, Embedding], ...]]


class VectorTable:
    """The plain vectors, one per person and model."""

    def prepare(self, session: Session, templates: Iterable[Template]) -> None:
        """Makes the table and fills it anew if it was not there."""
        if session.run("SELECT to_regclass('vectors')")[0][0] is not None:
            return
        everybody = list(templates)
        session.run("CREATE EXTENSION IF NOT EXISTS vector")
        session.run(
            "CREATE TABLE vectors (person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,"
            " model TEXT NOT NULL, vector vector NOT NULL, PRIMARY KEY (person_id, model))"
        )
        for template in everybody:
            self.put(session, template)

    def put(self, session: Session, template: Template) -> None:
        self.remove(session, template.person_id)
        for model, embedding in template.embeddings.items():
            session.run(
                "INSERT INTO vectors VALUES (?, ?, ?::vector)", str(template.person_id), model, _text(embedding)
            )

    def remove(self, session: Session, person_id: UUID) -> None:
        session.run("DELETE FROM vectors WHERE person_id = ?", str(person_id))

    def nearest(
        self, session: Session, tables: GalleryTables, probe: Mapping[str, Embedding], count: int, now: float
    ) -> Nearest:
        """The `count` people most like the face to each model, with their cosines to all models. Exact for one model; a
        person only an ensemble would rank first is missed if no model has them among its `count`."""
        found: dict[str, dict[str, float]] = {}
        for model, embedding in probe.items():
            for (person_id,) in session.run(_CLOSEST, model, len(embedding.vector), now, _text(embedding), count):
                found[person_id] = {}
        for model, embedding in probe.items() if found else ():
            marks = ", ".join("?" * len(found))
            for person_id, distance in session.run(
                _DISTANCES.format(marks), _text(embedding), model, len(embedding.vector), *found
            ):
                found[person_id][model] = 1 - float(distance)
        ((people,),) = session.run("SELECT count(*) FROM people WHERE expires_at > ?", now)
        doubted = {row[0] for row in session.run("SELECT DISTINCT person_id FROM rejections")} & found.keys()
        rejected = {UUID(p): template_of(tables.record(UUID(p))).rejected for p in doubted}
        return Nearest(tables.version, people, {UUID(p): cosines for p, cosines in found.items()}, rejected)


def _text(embedding: Embedding) -> str:
    """As the extension reads vectors; nine digits give every float32 back."""
    return "[" + ",".join(f"{value:.9g}" for value in embedding.vector.astype(np.float64)) + "]"
