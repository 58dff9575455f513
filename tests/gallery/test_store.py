"""What the store keeps, whichever database is below: changes whole or not at all, encrypted, logged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from streamapp.errors import EnrolmentInvalid, GalleryInUse, GalleryUnusable, NotFound, Overloaded, UsageError
from streamapp.gallery import store as store_module
from streamapp.gallery.audit import AuditAction
from streamapp.gallery.changes import Retention
from streamapp.gallery.database import Database, meta, put_meta
from streamapp.gallery.people import MAX_REJECTIONS, MAX_SAMPLES, Person, Rejection
from streamapp.gallery.store import GalleryStore
from streamapp.gallery.tables import GalleryTables
from tests.gallery.enrolments import DAY_S, NOW, enrolment, face, sample

RULE = Retention(max_unseen_s=50 * DAY_S, rejections_s=10 * DAY_S)


async def enroll(store: GalleryStore, name: str = "Ada", seed: int = 1, *, until: float = NOW + 100 * DAY_S) -> UUID:
    return (await store.enroll(enrolment(name, seed, until=until), actor="test", now=NOW)).person.id


async def actions(store: GalleryStore) -> list[AuditAction]:
    return [entry.action for entry in await store.audit()]


async def test_what_was_enrolled_is_there_after_closing(make_store: Callable[[], GalleryStore]) -> None:
    first = make_store()
    await first.open(NOW)
    change = await first.enroll(enrolment("Ada Lovelace", 1), actor="test", now=NOW)
    await first.close()
    again = make_store()
    await again.open(NOW)
    record = await again.record(change.person.id)
    assert record.person == change.person
    assert record.person.name == "Ada Lovelace"
    assert record.person.consent == enrolment("Ada Lovelace", 1).consent
    assert (record.person.created_at, record.person.last_seen_at) == (NOW, NOW)
    for kept, given in zip(record.samples, enrolment("Ada Lovelace", 1).samples, strict=True):
        assert kept.quality == given.quality
        for a, b in zip(kept.embeddings, given.embeddings, strict=True):
            assert (a.model, a.norm) == (b.model, b.norm)
            np.testing.assert_array_equal(a.vector, b.vector)
    assert [person.id for person in await again.people()] == [change.person.id]
    await again.close()


async def test_an_enrolment_that_fails_midway_leaves_nothing(
    store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await store.audit()
    monkeypatch.setattr(GalleryTables, "log", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await enroll(store)
    monkeypatch.undo()
    assert await store.people() == ()
    assert (await store.snapshot()).templates == ()
    assert await store.audit() == before
    await enroll(store)
    assert len(await store.people()) == 1


async def test_consent_that_has_run_out_is_refused(store: GalleryStore) -> None:
    with pytest.raises(EnrolmentInvalid, match="run out"):
        await store.enroll(enrolment("Ada", 1, until=NOW), actor="test", now=NOW)
    assert await store.people() == ()


async def test_the_snapshot_has_everybody_and_its_version_counts_changes(store: GalleryStore) -> None:
    empty = await store.snapshot()
    ids = [await enroll(store, f"person {seed}", seed) for seed in range(5)]
    full = await store.snapshot()
    assert full.version == empty.version + 5
    assert {template.person_id for template in full.templates} == set(ids)
    change = await store.add_samples(ids[0], (sample(1, take=7),), actor="test", now=NOW)
    assert change.version == full.version + 1
    await store.rename(ids[1], "another", actor="test", now=NOW)
    assert (await store.snapshot()).version == change.version


async def test_a_snapshot_has_what_each_change_said(store: GalleryStore) -> None:
    person = await enroll(store)
    await store.reject(person, Rejection("door", 3, NOW, sample(9)), actor="test")
    change = await store.add_samples(person, (sample(1, take=7),), actor="test", now=NOW)
    (template,) = (await store.snapshot()).templates
    assert template.expires_at == change.template.expires_at == NOW + 100 * DAY_S
    for model, embedding in change.template.embeddings.items():
        np.testing.assert_array_equal(template.embeddings[model].vector, embedding.vector)
        assert template.rejected[0][model].similarity(face(9)[model]) == pytest.approx(1)


async def test_too_many_samples_are_refused(store: GalleryStore) -> None:
    person = await enroll(store)
    with pytest.raises(EnrolmentInvalid, match="at most"):
        await store.add_samples(person, (sample(1),) * (MAX_SAMPLES - 1), actor="test", now=NOW)
    assert len((await store.record(person)).samples) == 2


async def test_only_the_newest_rejections_are_kept(store: GalleryStore) -> None:
    person = await enroll(store)
    for number in range(MAX_REJECTIONS + 3):
        await store.reject(person, Rejection("door", number, NOW + number, None), actor="test")
    kept = [rejection.track for rejection in (await store.record(person)).rejections]
    assert kept == list(range(3, MAX_REJECTIONS + 3))


async def test_a_new_name_replaces_the_old_one(store: GalleryStore) -> None:
    person = await enroll(store)
    assert (await store.rename(person, "Grace", actor="test", now=NOW)).name == "Grace"
    assert (await store.record(person)).person.name == "Grace"
    with pytest.raises(EnrolmentInvalid):
        await store.rename(person, " ", actor="test", now=NOW)


async def test_when_somebody_was_seen_never_goes_back(store: GalleryStore) -> None:
    person = await enroll(store)
    await store.saw({person: NOW + 50, uuid4(): NOW})
    await store.saw({person: NOW + 20})
    assert (await store.record(person)).person.last_seen_at == NOW + 50


async def test_the_erased_are_gone_and_the_log_says_so_without_a_name(store: GalleryStore) -> None:
    kept, erased = await enroll(store, "Ada", 1), await enroll(store, "Grace Hopper", 2)
    erasure = await store.erase(erased, actor="test", now=NOW)
    assert erasure.is_scrubbed
    assert [person.id for person in await store.people()] == [kept]
    assert [template.person_id for template in (await store.snapshot()).templates] == [kept]
    with pytest.raises(NotFound):
        await store.record(erased)
    with pytest.raises(NotFound):
        await store.erase(erased, actor="test", now=NOW)
    last = (await store.audit())[-1]
    assert (last.action, last.person_id) == (AuditAction.ERASED, erased)
    assert "Grace" not in repr(await store.audit())
    assert await store.audit_fault() is None


async def test_retention_erases_the_expired_and_the_unseen_and_does_nothing_twice(store: GalleryStore) -> None:
    ended = await enroll(store, "ended", 1, until=NOW + 30 * DAY_S)
    unseen = await enroll(store, "unseen", 2, until=NOW + 200 * DAY_S)
    seen = await enroll(store, "seen", 3, until=NOW + 200 * DAY_S)
    await store.saw({seen: NOW + 60 * DAY_S})
    await store.reject(seen, Rejection("door", 1, NOW, sample(8)), actor="test")
    assert (await store.sweep(RULE, actor="job", now=NOW + DAY_S)).erased == ()
    swept = await store.sweep(RULE, actor="job", now=NOW + 60 * DAY_S)
    assert (swept.consent_ended, swept.unseen) == ((ended,), (unseen,))
    assert [template.person_id for template in swept.changed] == [seen]
    assert (await store.record(seen)).rejections == ()
    again = await store.sweep(RULE, actor="job", now=NOW + 60 * DAY_S)
    assert (again.erased, again.changed, again.version) == ((), (), swept.version)
    erased = [(e.person_id, e.details["reason"]) for e in await store.audit() if e.action is AuditAction.ERASED]
    assert erased == [(person, why) for person, why in sorted([(ended, "consent_ended"), (unseen, "unseen")])]
    assert (await actions(store)).count(AuditAction.RETENTION) == 3
    assert await store.audit_fault() is None


async def test_an_export_is_complete_and_logged(store: GalleryStore) -> None:
    person, _ = await enroll(store), await enroll(store, "Grace", 2)
    export = await store.export(person, actor="test", now=NOW)
    assert export.record.person == (await store.record(person)).person
    assert len(export.record.samples) == 2
    assert [entry.action for entry in export.audit] == [AuditAction.ENROLLED, AuditAction.EXPORTED]
    assert {entry.person_id for entry in export.audit} == {person}


async def test_a_changed_audit_log_is_found_out(
    make_store: Callable[[], GalleryStore], make_database: Callable[[], Database]
) -> None:
    store = make_store()
    await store.open(NOW)
    await enroll(store)
    await store.close()
    for tampering in (
        "UPDATE audit SET actor = 'somebody' WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
    ):
        with tampered(make_database(), tampering):
            await store_with_fault(make_store)


@contextmanager
def tampered(database: Database, statement: str) -> Iterator[None]:
    """The audit log without its guard, and something done to it; as it was afterwards."""

    def run(*statements: str) -> None:
        database.open()
        with database.transaction() as session:
            for each in statements:
                session.run(each)
        database.close()

    copied = ("DROP TABLE audit", "CREATE TABLE audit AS SELECT * FROM kept")
    run("CREATE TABLE kept AS SELECT * FROM audit", *copied, statement)
    yield
    run(*copied, "DROP TABLE kept")


async def store_with_fault(make_store: Callable[[], GalleryStore]) -> None:
    store = make_store()
    await store.open(NOW)
    fault = await store.audit_fault()
    await store.close()
    assert fault is not None
    assert fault.number == 2


async def test_the_database_itself_refuses_to_change_the_audit_log(
    make_store: Callable[[], GalleryStore], make_database: Callable[[], Database]
) -> None:
    store = make_store()
    await store.open(NOW)
    await store.close()
    database = make_database()
    database.open()
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="append-only"), database.transaction() as session:
            session.run(statement)
    database.close()


async def test_a_second_writer_is_told_so(make_store: Callable[[], GalleryStore], store: GalleryStore) -> None:
    with pytest.raises(GalleryInUse, match="in use by"):
        await make_store().open(NOW)
    await enroll(store)


async def test_a_wrong_key_is_refused_by_name(
    make_store: Callable[[], GalleryStore], make_database: Callable[[], Database], tmp_path: Path
) -> None:
    store = make_store()
    await store.open(NOW)
    await enroll(store)
    await store.close()
    key = tmp_path / "keys" / "gallery.key"
    right = key.read_bytes()
    key.unlink()
    with pytest.raises(GalleryUnusable, match=r"gallery\.key cannot be read"):
        await make_store().open(NOW)
    assert not key.exists()
    other = GalleryStore(make_database(), tmp_path / "other.key")
    with pytest.raises(GalleryUnusable, match=r"other\.key cannot be read"):
        await other.open(NOW)
    (tmp_path / "other.key").write_bytes(right.replace(right[30:34], b"AAAA"))
    (tmp_path / "other.key").chmod(0o600)
    with pytest.raises(GalleryUnusable, match=r"other\.key is not the key of the gallery"):
        await GalleryStore(make_database(), tmp_path / "other.key").open(NOW)
    key.write_bytes(right)
    key.chmod(0o600)
    again = make_store()
    await again.open(NOW)
    assert len(await again.people()) == 1
    await again.close()


async def test_a_newer_schema_is_refused(
    make_store: Callable[[], GalleryStore], make_database: Callable[[], Database]
) -> None:
    store = make_store()
    await store.open(NOW)
    await store.close()
    database = make_database()
    database.open()
    with database.transaction() as session:
        put_meta(session, "schema_version", b"99")
    database.close()
    with pytest.raises(GalleryUnusable, match="newer version of this app"):
        await make_store().open(NOW)
    database = make_database()
    database.open()
    with database.transaction() as session:
        assert meta(session, "schema_version") == b"99"
    database.close()


async def test_the_database_is_never_used_on_the_event_loop(
    store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()

    def people(*_: object) -> tuple[Person, ...]:
        threads.add(threading.current_thread().name)
        return ()

    monkeypatch.setattr(GalleryTables, "people", people)
    await asyncio.gather(*(store.people() for _ in range(5)))
    assert threads == {"gallery_0"}


async def test_what_waits_is_bounded(store: GalleryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_WAITING", 3)
    answers = await asyncio.gather(*(store.people() for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 7
    assert await store.people() == ()


async def test_a_database_that_does_not_search_says_so(store: GalleryStore) -> None:
    with pytest.raises(UsageError, match="does not search"):
        await store.nearest(face(1), 5, NOW)
