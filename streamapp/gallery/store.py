"""The gallery's truth: people in a database, encrypted, every change one transaction and one entry of the audit log.

All work is done on one thread of the store's own, never on the event loop. Times are Unix time in seconds and come from
the caller; `actor` is a short word for who asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from streamapp.errors import EnrolmentInvalid, GalleryError, GalleryUnusable, Overloaded, UsageError
from streamapp.findings import Embedding
from streamapp.gallery import audit
from streamapp.gallery.audit import AuditAction, AuditEntry, AuditFault
from streamapp.gallery.changes import Change, Erasure, Export, Retention, Snapshot, Swept
from streamapp.gallery.database import Database, Session, check_version, meta, migrate, put_meta, schema_version
from streamapp.gallery.encryption import Key, create_master_key, load_master_key
from streamapp.gallery.people import (
    MAX_SAMPLES,
    Enrolment,
    Person,
    PersonRecord,
    Rejection,
    Sample,
    Template,
    valid_name,
)
from streamapp.gallery.pgvector import Nearest, VectorTable
from streamapp.gallery.tables import MAX_PEOPLE, GalleryTables
from streamapp.gallery.templates import template_of

MAX_WAITING = 64
_KEY_CHECK = b"streamapp gallery"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class GalleryStore:
    """Open before use. Every method raises GalleryError, Overloaded if the database stays busy or too much waits, and
    NotFound for a person who is not there."""

    def __init__(self, database: Database, key_file: Path, vectors: VectorTable | None = None) -> None:
        self._database = database
        self._key_file = key_file
        self._vectors = vectors
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gallery")
        self._waiting = 0
        self._master: Key | None = None
        self._scrub_due = False
        self._is_closed = False

    async def open(self, now: float) -> None:
        """Raises GalleryUnusable for a wrong, damaged or newer database or key, which is left as it is, and
        GalleryInUse if another process has it."""
        await self._work(lambda: self._open(now))

    async def close(self) -> None:
        """For good; a second time is no fault."""
        if not self._is_closed:
            await self._work(self._database.close)
            self._is_closed = True
            self._thread.shutdown(wait=False)

    # -- changes

    async def enroll(self, enrolment: Enrolment, *, actor: str, now: float) -> Change:
        """All of it or nothing, whatever happens meanwhile. Raises EnrolmentInvalid."""
        if enrolment.consent.expires_at <= now:
            raise EnrolmentInvalid("the consent has run out")

        def work(tables: GalleryTables, session: Session) -> Change:
            person_id = tables.add_person(enrolment.name, enrolment.consent, now)
            tables.add_samples(person_id, enrolment.samples, now)
            tables.log(now, actor, AuditAction.ENROLLED, person_id, {"samples": len(enrolment.samples)})
            return self._changed(tables, session, person_id)

        return await self._transact(work)

    async def add_samples(self, person_id: UUID, samples: tuple[Sample, ...], *, actor: str, now: float) -> Change:
        """Raises EnrolmentInvalid if they would be too many."""

        def work(tables: GalleryTables, session: Session) -> Change:
            if len(tables.record(person_id).samples) + len(samples) > MAX_SAMPLES:
                raise EnrolmentInvalid(f"a person has {MAX_SAMPLES} samples at most")
            tables.add_samples(person_id, samples, now)
            tables.log(now, actor, AuditAction.SAMPLES_ADDED, person_id, {"samples": len(samples)})
            return self._changed(tables, session, person_id)

        return await self._transact(work)

    async def rename(self, person_id: UUID, name: str, *, actor: str, now: float) -> Person:
        """Raises EnrolmentInvalid for a bad name."""
        valid_name(name)

        def work(tables: GalleryTables, _session: Session) -> Person:
            tables.rename(person_id, name)
            tables.log(now, actor, AuditAction.RENAMED, person_id, {})
            return tables.record(person_id).person

        return await self._transact(work, scrub=True)

    async def reject(self, person_id: UUID, rejection: Rejection, *, actor: str) -> Change:
        """Keeps that a face is not this person."""

        def work(tables: GalleryTables, session: Session) -> Change:
            tables.add_rejection(person_id, rejection)
            with_face = int(rejection.sample is not None)
            tables.log(rejection.rejected_at, actor, AuditAction.REJECTED, person_id, {"with_face": with_face})
            return self._changed(tables, session, person_id)

        return await self._transact(work)

    async def saw(self, seen_at: Mapping[UUID, float]) -> None:
        """When people were last recognised. Those who are gone are passed over; an earlier time changes nothing."""

        def work(tables: GalleryTables, _session: Session) -> None:
            for person_id, at in seen_at.items():
                tables.set_seen(person_id, at)

        await self._transact(work)

    async def erase(self, person_id: UUID, *, actor: str, now: float) -> Erasure:
        """Everything of one person, from the disk too, but for their number in the audit log."""

        def work(tables: GalleryTables, session: Session) -> int:
            self._erase(tables, session, person_id, actor, now, "asked")
            return tables.next_version()

        version = await self._transact(work, scrub=True)
        return Erasure(version, person_id, not self._scrub_due)

    async def sweep(self, rule: Retention, *, actor: str, now: float) -> Swept:
        """Erases whose consent has run out and who was not seen for too long, and forgets old rejections. The audit log
        says so, also when there was nothing to do."""

        def work(tables: GalleryTables, session: Session) -> Swept:
            due = tables.expired(now, rule.max_unseen_s)
            for person_id, ended in due:
                self._erase(tables, session, person_id, actor, now, "consent_ended" if ended else "unseen")
            changed = tuple(
                self._written(tables, session, person_id)
                for person_id in tables.forget_rejections(now - rule.rejections_s)
            )
            tables.log(now, actor, AuditAction.RETENTION, None, {"erased": len(due), "rejections_of": len(changed)})
            version = tables.next_version() if due or changed else tables.version
            consent_ended = tuple(person_id for person_id, ended in due if ended)
            return Swept(version, consent_ended, tuple(p for p, ended in due if not ended), changed)

        return await self._transact(work, scrub=True)

    # -- questions

    async def people(self, offset: int = 0, count: int = MAX_PEOPLE) -> tuple[Person, ...]:
        """In the order they were enrolled in; `count` of them, without the first `offset`."""
        return await self._transact(lambda tables, _: tables.people(offset, count))

    async def record(self, person_id: UUID) -> PersonRecord:
        return await self._transact(lambda tables, _: tables.record(person_id))

    async def export(self, person_id: UUID, *, actor: str, now: float) -> Export:
        """Everything about one person; that it was asked for is logged."""

        def work(tables: GalleryTables, _session: Session) -> Export:
            record = tables.record(person_id)
            tables.log(now, actor, AuditAction.EXPORTED, person_id, {})
            return Export(record, tuple(tables.audit(person_id)))

        return await self._transact(work)

    async def audit(self) -> tuple[AuditEntry, ...]:
        return await self._transact(lambda tables, _: tuple(tables.audit()))

    async def audit_fault(self) -> AuditFault | None:
        """The first fault of the audit log; None if it is whole."""

        def work(tables: GalleryTables, _session: Session) -> AuditFault | None:
            head = tables.audit_head()
            return audit.verify(tables.audit(), head)

        return await self._transact(work)

    async def nearest(self, probe: Mapping[str, Embedding], count: int, now: float) -> Nearest:
        """The people most like a face, found by the database. Raises UsageError where that is not set up."""
        if self._vectors is None:
            raise UsageError("the gallery's database does not search")
        vectors = self._vectors
        return await self._transact(lambda tables, session: vectors.nearest(session, tables, probe, count, now))

    async def snapshot(self) -> Snapshot:
        return await self._transact(lambda tables, _: Snapshot(tables.version, tuple(tables.templates())))

    # -- on the thread

    def _open(self, now: float) -> None:
        database = self._database
        try:
            is_new = database.open()
            if is_new:
                self._master = create_master_key(self._key_file)
            else:
                with database.transaction() as session:
                    check_version(schema_version(session), database.location)
                    self._master = load_master_key(self._key_file)
                    self._check_key(session, self._master)
            database.prepare()
            with database.transaction() as session:
                migrate(session, database.words)
                tables = GalleryTables(session, self._master)
                if is_new:
                    put_meta(session, "key_check", self._master.seal(_KEY_CHECK, "key/check"))
                    tables.log(now, "gallery", AuditAction.CREATED, None, {})
                if self._vectors is not None:
                    self._vectors.prepare(session, tables.templates())
                else:
                    session.run("DROP TABLE IF EXISTS vectors")
            self._scrub()
        except BaseException:
            database.close()
            raise

    def _check_key(self, session: Session, master: Key) -> None:
        try:
            master.open(meta(session, "key_check") or b"", "key/check")
        except GalleryUnusable as error:
            raise GalleryUnusable(
                f"{self._key_file} is not the key of the gallery {self._database.location}"
            ) from error

    def _erase(
        self, tables: GalleryTables, session: Session, person_id: UUID, actor: str, now: float, reason: str
    ) -> None:
        samples = tables.remove(person_id)
        if self._vectors is not None:
            self._vectors.remove(session, person_id)
        tables.log(now, actor, AuditAction.ERASED, person_id, {"reason": reason, "samples": samples})

    def _written(self, tables: GalleryTables, session: Session, person_id: UUID) -> Template:
        template = template_of(tables.record(person_id))
        if self._vectors is not None:
            self._vectors.put(session, template)
        return template

    def _changed(self, tables: GalleryTables, session: Session, person_id: UUID) -> Change:
        template = self._written(tables, session, person_id)
        return Change(tables.next_version(), tables.record(person_id).person, template)

    def _scrub(self) -> None:
        """Another program's reading may be in the way: what was committed stands, so it is done again later."""
        try:
            self._database.scrub()
            self._scrub_due = False
        except Overloaded as error:
            self._scrub_due = True
            _log.warning("%s", error)

    async def _transact(self, work: Callable[[GalleryTables, Session], T], *, scrub: bool = False) -> T:
        def transact() -> T:
            if self._master is None:
                raise GalleryError("the gallery is not open")
            with self._database.transaction() as session:
                result = work(GalleryTables(session, self._master), session)
            if scrub or self._scrub_due:
                self._scrub()
            return result

        try:
            return await self._work(transact)
        except GalleryUnusable as error:
            if self._database.location in str(error):
                raise
            raise GalleryUnusable(f"{self._database.location}: {error}") from error

    async def _work(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise GalleryError("the gallery is closed")
        if self._waiting >= MAX_WAITING:
            raise Overloaded("the gallery has too much to do", retry_after_s=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1
