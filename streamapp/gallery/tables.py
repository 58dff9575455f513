"""People, samples, rejections and the audit log as rows. Works inside one transaction, on the store's thread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

from streamapp.errors import NotFound
from streamapp.gallery.audit import AuditAction, AuditEntry, AuditHead, Details, append, details_text
from streamapp.gallery.database import Row, Session, Value, meta, put_meta
from streamapp.gallery.encryption import Key
from streamapp.gallery.people import MAX_REJECTIONS, Consent, Person, PersonRecord, Rejection, Sample, Template
from streamapp.gallery.record_format import (
    pack_profile,
    pack_rejection,
    pack_sample,
    unpack_person,
    unpack_rejection,
    unpack_sample,
)
from streamapp.gallery.templates import make_template

MAX_PEOPLE = 2**31 - 1
_PERSON = "SELECT id, wrapped_key, profile, created_at, last_seen_at FROM people"


class GalleryTables:
    """What can be done with the rows. Raises NotFound for a person who is not there, GalleryUnusable for what does not
    decrypt."""

    def __init__(self, session: Session, master: Key) -> None:
        self._session = session
        self._master = master

    # -- reading

    def people(self, offset: int = 0, count: int = MAX_PEOPLE) -> tuple[Person, ...]:
        """In the order they were enrolled in; `count` of them, without the first `offset`."""
        rows = self._session.run(f"{_PERSON} ORDER BY created_at, id LIMIT ? OFFSET ?", count, offset)
        return tuple(self._person(row)[0] for row in rows)

    def record(self, person_id: UUID) -> PersonRecord:
        rows = self._session.run(f"{_PERSON} WHERE id = ?", str(person_id))
        if not rows:
            raise NotFound(f"nobody in the gallery has the id {person_id}")
        person, key = self._person(rows[0])
        samples = tuple(
            unpack_sample(key.open(sealed, f"{person_id}/sample/{number}"))
            for number, sealed in self._sealed("samples", person_id)
        )
        rejections = tuple(
            unpack_rejection(key.open(sealed, f"{person_id}/rejection/{number}"))
            for number, sealed in self._sealed("rejections", person_id)
        )
        return PersonRecord(person, samples, rejections)

    def templates(self) -> Iterator[Template]:
        """Of everybody. Read to the end before the next statement."""
        rejected: dict[str, list[tuple[str, bytes]]] = {}
        for person_id, number, sealed in self._session.run(
            "SELECT person_id, id, sealed FROM rejections ORDER BY added_at, id"
        ):
            rejected.setdefault(person_id, []).append((number, sealed))
        current: Row | None = None
        samples: list[tuple[str, bytes]] = []
        for row in self._session.stream(
            "SELECT p.id, p.wrapped_key, p.expires_at, s.id, s.sealed FROM people p"
            " JOIN samples s ON s.person_id = p.id ORDER BY p.id, s.added_at, s.id"
        ):
            if current is not None and row[0] != current[0]:
                yield self._template(current, samples, rejected.get(current[0], []))
                samples = []
            current = row
            samples.append((row[3], row[4]))
        if current is not None:
            yield self._template(current, samples, rejected.get(current[0], []))

    def expired(self, now: float, max_unseen_s: float) -> list[tuple[UUID, bool]]:
        """Who must go, and whether that is because consent ran out (else: not seen for too long)."""
        rows = self._session.run(
            "SELECT id, expires_at FROM people WHERE expires_at <= ? OR last_seen_at <= ? ORDER BY id",
            now,
            now - max_unseen_s,
        )
        return [(UUID(person_id), expires_at <= now) for person_id, expires_at in rows]

    # -- writing

    def add_person(self, name: str, consent: Consent, now: float) -> UUID:
        person_id = uuid4()
        key, wrapped = self._master.new_person_key(person_id)
        profile = key.seal(pack_profile(name, consent), f"{person_id}/profile")
        self._session.run(
            "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)",
            str(person_id), wrapped, profile, now, now, consent.expires_at,
        )  # fmt: skip
        return person_id

    def add_samples(self, person_id: UUID, samples: Sequence[Sample], now: float) -> None:
        key = self._key(person_id)
        for place, sample in enumerate(samples):
            number = f"{place:03}-{uuid4()}"  # keeps the order of those that came together
            sealed = key.seal(pack_sample(sample), f"{person_id}/sample/{number}")
            self._session.run("INSERT INTO samples VALUES (?, ?, ?, ?)", number, str(person_id), now, sealed)

    def add_rejection(self, person_id: UUID, rejection: Rejection) -> None:
        number = str(uuid4())
        sealed = self._key(person_id).seal(pack_rejection(rejection), f"{person_id}/rejection/{number}")
        at = rejection.rejected_at
        self._session.run("INSERT INTO rejections VALUES (?, ?, ?, ?)", number, str(person_id), at, sealed)
        known = [row[0] for row in self._sealed("rejections", person_id)]
        for number in known[:-MAX_REJECTIONS]:
            self._session.run("DELETE FROM rejections WHERE id = ?", number)

    def forget_rejections(self, before: float) -> list[UUID]:
        """Those made before that time; whose they were."""
        rows = self._session.run("SELECT DISTINCT person_id FROM rejections WHERE added_at < ?", before)
        self._session.run("DELETE FROM rejections WHERE added_at < ?", before)
        return sorted(UUID(row[0]) for row in rows)

    def rename(self, person_id: UUID, name: str) -> None:
        consent = self.record(person_id).person.consent
        profile = self._key(person_id).seal(pack_profile(name, consent), f"{person_id}/profile")
        self._session.run("UPDATE people SET profile = ? WHERE id = ?", profile, str(person_id))

    def set_seen(self, person_id: UUID, at: float) -> None:
        self._session.run(
            "UPDATE people SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?", at, str(person_id), at
        )

    def remove(self, person_id: UUID) -> int:
        """All rows of a person, their key first of all; returns how many samples there were."""
        if not self._session.run("SELECT 1 FROM people WHERE id = ?", str(person_id)):
            raise NotFound(f"nobody in the gallery has the id {person_id}")
        (row,) = self._session.run("SELECT count(*) FROM samples WHERE person_id = ?", str(person_id))
        for table in ("rejections", "samples"):
            self._session.run(f"DELETE FROM {table} WHERE person_id = ?", str(person_id))  # noqa: S608 - our own names
        self._session.run("DELETE FROM people WHERE id = ?", str(person_id))
        return int(row[0])

    # -- version and audit log

    @property
    def version(self) -> int:
        """Counts the changes that matter to an index."""
        return int(meta(self._session, "version") or b"0")

    def next_version(self) -> int:
        version = self.version + 1
        put_meta(self._session, "version", str(version).encode())
        return version

    def log(self, at: float, actor: str, action: AuditAction, person_id: UUID | None, details: Details) -> None:
        entry = append(self.audit_head(), at, actor, action, person_id, details)
        values: list[Value] = [entry.number, entry.at, entry.actor, entry.action.value]
        values += [None if person_id is None else str(person_id), details_text(details)]
        self._session.run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values, entry.previous_hash, entry.hash)
        head = f"{entry.number} {entry.hash}".encode()
        put_meta(self._session, "audit_head", self._master.seal(head, "audit/head"))

    def audit_head(self) -> AuditHead:
        sealed = meta(self._session, "audit_head")
        if sealed is None:
            return AuditHead()
        number, digest = self._master.open(sealed, "audit/head").decode().split()
        return AuditHead(int(number), digest)

    def audit(self, person_id: UUID | None = None) -> Iterator[AuditEntry]:
        """All entries, or those about one person, in order. Read to the end before the next statement."""
        everybody = person_id is None
        for number, at, actor, action, person, details, previous, digest in self._session.stream(
            "SELECT number, at, actor, action, person_id, details, previous_hash, hash FROM audit"
            " WHERE ? = 1 OR person_id = ? ORDER BY number",
            int(everybody), str(person_id),
        ):  # fmt: skip
            who = None if person is None else UUID(person)
            yield AuditEntry(number, at, actor, AuditAction(action), who, json.loads(details), previous, digest)

    # -- inside

    def _person(self, row: Row) -> tuple[Person, Key]:
        person_id, wrapped, profile, created_at, last_seen_at = row
        key = self._master.person_key(wrapped, UUID(person_id))
        opened = key.open(profile, f"{person_id}/profile")
        return unpack_person(opened, UUID(person_id), created_at, last_seen_at), key

    def _key(self, person_id: UUID) -> Key:
        rows = self._session.run("SELECT wrapped_key FROM people WHERE id = ?", str(person_id))
        if not rows:
            raise NotFound(f"nobody in the gallery has the id {person_id}")
        return self._master.person_key(rows[0][0], person_id)

    def _sealed(self, table: str, person_id: UUID) -> list[Row]:
        return self._session.run(
            f"SELECT id, sealed FROM {table} WHERE person_id = ? ORDER BY added_at, id",  # noqa: S608 - our own names
            str(person_id),
        )

    def _template(self, row: Row, samples: list[tuple[str, bytes]], rejected: list[tuple[str, bytes]]) -> Template:
        person_id = UUID(row[0])
        key = self._master.person_key(row[1], person_id)
        return make_template(
            person_id,
            row[2],
            [unpack_sample(key.open(sealed, f"{person_id}/sample/{number}")) for number, sealed in samples],
            [unpack_rejection(key.open(sealed, f"{person_id}/rejection/{number}")) for number, sealed in rejected],
        )
