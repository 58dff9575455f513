"""The SQLite file: nothing readable in it, nothing left of the erased, left alone if it is not as it should be."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import GalleryError, GalleryUnusable, Overloaded
from streamapp.gallery.sqlite_store import SqliteDatabase
from streamapp.gallery.store import GalleryStore
from tests.gallery.enrolments import NOW, enrolment

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 40
WINDOW = 16
"""Bytes: shorter pieces of ciphertext may occur twice by chance, this long never."""
Make = Callable[[], GalleryStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.db"


@pytest.fixture
def make(path: Path) -> Make:
    return lambda: GalleryStore(SqliteDatabase(path, 0.1), path.with_name("gallery.key"))


@pytest.fixture
async def filled(path: Path, make: Make) -> Path:
    """A closed gallery with one person."""
    store = make()
    await store.open(NOW)
    await store.enroll(enrolment("Ada Lovelace", 1), actor="test", now=NOW)
    await store.close()
    return path


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("gallery.db*")))


def secrets_of(path: Path, person: str) -> list[bytes]:
    """All that the database holds of a person, as it is stored."""
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    found = list(reader.execute("SELECT wrapped_key, profile FROM people WHERE id = ?", (person,)).fetchone())
    for table in ("samples", "rejections"):
        rows = reader.execute(f"SELECT sealed FROM {table} WHERE person_id = ?", (person,)).fetchall()
        found += [row[0] for row in rows]
    reader.close()
    return found


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def changed(path: Path, harm: Callable[[bytes], bytes]) -> bytes:
    """What is in the file afterwards."""
    path.write_bytes(harm(content(path)))
    return content(path)


def pieces(secret: bytes) -> Iterator[bytes]:
    return (secret[i : i + WINDOW] for i in range(0, len(secret) - WINDOW, WINDOW))


async def test_no_name_and_no_embedding_can_be_read_in_the_files(path: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    await store.enroll(enrolment("Ada Lovelace", 1), actor="test", now=NOW)
    stored = files_of(path)
    assert b"enrolled" in stored
    for text in (b"Ada", b"Lovelace", b"in writing", b"text-2026", "Ada".encode("utf-16-le")):
        assert text not in stored
    for sample in enrolment("Ada Lovelace", 1).samples:
        for embedding in sample.embeddings:
            for kind in (np.float32, np.float64, np.float16):
                vector = embedding.vector.astype(kind)
                assert not [start for start in range(len(vector) - 3) if vector[start : start + 4].tobytes() in stored]
    await store.close()
    assert b"Ada" not in files_of(path)


async def test_nothing_of_the_erased_is_left_in_any_file(path: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    people = [
        (await store.enroll(enrolment(f"person {seed}", seed, samples=1 + seed % 4), actor="test", now=NOW)).person
        for seed in range(60)
    ]
    random.Random(1).shuffle(people)
    gone: list[bytes] = []
    for person in people[:50]:
        secrets = secrets_of(path, str(person.id))
        stored = files_of(path)
        assert all(secret[:WINDOW] in stored for secret in secrets)
        gone += secrets
        assert (await store.erase(person.id, actor="test", now=NOW)).is_scrubbed
        stored = files_of(path)
        assert not [piece for secret in secrets for piece in pieces(secret) if piece in stored]
    stored = files_of(path)
    assert not [piece for secret in gone for piece in pieces(secret) if piece in stored]
    assert len(await store.people()) == 10
    await store.close()


async def test_nothing_of_an_old_name_is_left(path: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    person = (await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)).person
    profile = secrets_of(path, str(person.id))[1]
    await store.rename(person.id, "Grace", actor="test", now=NOW)
    stored = files_of(path)
    assert not [piece for piece in pieces(profile) if piece in stored]
    await store.close()


async def test_a_reader_in_the_way_puts_off_the_cleaning_and_not_the_erasure(path: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    person = (await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)).person
    secret = secrets_of(path, str(person.id))[1]
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM people").fetchone()
    erasure = await store.erase(person.id, actor="test", now=NOW)
    assert not erasure.is_scrubbed
    assert await store.people() == ()
    reader.close()
    await store.people()
    assert secret[:WINDOW] not in files_of(path)
    await store.close()


async def test_a_database_held_by_another_program_is_an_overload(path: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Overloaded, match="another program holds") as caught:
        await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)
    assert caught.value.http_status == 503
    assert caught.value.retry_after_s >= 1
    holder.execute("ROLLBACK")
    holder.close()
    await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)
    await store.close()


async def test_files_are_for_their_owner_only(filled: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    await store.enroll(enrolment("Grace", 2), actor="test", now=NOW)
    names = {file.name for file in filled.parent.glob("gallery*")}
    assert names >= {"gallery.db", "gallery.db-wal", "gallery.db-shm", "gallery.key"}
    assert {file.stat().st_mode & 0o777 for file in filled.parent.glob("gallery*")} == {0o600}
    await store.close()


async def test_settings_of_the_connection_are_the_safe_ones(path: Path) -> None:
    database = SqliteDatabase(path, 0.1)
    database.open()
    database.prepare()
    with database.transaction() as session:
        found = {name: session.run(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "secure_delete")}
    database.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


def damaged(data: bytes) -> bytes:
    """The head of each page after the first."""
    page = 4096
    return data[:page] + b"".join(
        b"\xff" * 8 + data[start + 8 : start + page] for start in range(page, len(data), page)
    )


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damaged, "is damaged"),
        (lambda data: b"not a database at all" * 500, "is damaged"),
        (lambda data: data[: len(data) // 2], "is damaged"),
    ],
)
async def test_a_damaged_file_is_refused_by_name_and_left_alone(
    filled: Path, make: Make, harm: Callable[[bytes], bytes], told: str
) -> None:
    before = changed(filled, harm)
    for _ in range(2):
        with pytest.raises(GalleryUnusable, match=told) as caught:
            await make().open(NOW)
        assert str(filled) in str(caught.value)
    assert content(filled) == before


async def test_a_row_that_was_changed_is_noticed(filled: Path, make: Make) -> None:
    writer = sqlite3.connect(filled)
    writer.execute("UPDATE samples SET sealed = zeroblob(length(sealed))")
    writer.commit()
    writer.close()
    store = make()
    await store.open(NOW)
    with pytest.raises(GalleryUnusable, match=r"gallery\.db: .*/sample/.* damaged"):
        await store.snapshot()
    await store.close()


async def test_rows_cannot_be_swapped_between_people(filled: Path, make: Make) -> None:
    store = make()
    await store.open(NOW)
    await store.enroll(enrolment("Grace", 2), actor="test", now=NOW)
    await store.close()
    writer = sqlite3.connect(filled)
    (first, one), (second, two) = writer.execute("SELECT id, profile FROM people").fetchall()
    writer.executemany("UPDATE people SET profile = ? WHERE id = ?", [(two, first), (one, second)])
    writer.commit()
    writer.close()
    store = make()
    await store.open(NOW)
    with pytest.raises(GalleryUnusable, match="profile"):
        await store.people()
    await store.close()


async def test_the_database_of_another_program_is_refused(path: Path, make: Make) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.commit()
    other.close()
    before = content(path)
    with pytest.raises(GalleryUnusable, match="another program"):
        await make().open(NOW)
    assert content(path) == before
    assert not path.with_name("gallery.key").exists()


async def test_an_empty_file_of_an_interrupted_first_start_is_a_new_gallery(path: Path, make: Make) -> None:
    changed(path, lambda _: b"")
    store = make()
    await store.open(NOW)
    assert await store.people() == ()
    await store.close()


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = GalleryStore(SqliteDatabase(tmp_path / "file" / "gallery.db", 0.1), tmp_path / "gallery.key")
    with pytest.raises(GalleryUnusable, match=r"file/gallery\.db cannot be opened"):
        await store.open(NOW)


async def test_a_closed_gallery_says_so(path: Path) -> None:
    database = SqliteDatabase(path, 0.1)
    database.open()
    database.close()
    with pytest.raises(GalleryError, match="is closed"), database.transaction():
        pass


def test_a_process_killed_while_enrolling_leaves_all_or_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gallery.enrolling", str(tmp_path), str(ROUNDS)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(looks) == ROUNDS, done.stderr
    assert looks[-1]["people"] > 0
    for look in looks:
        assert look["torn"] == 0
        assert look["people"] == look["logged"] == look["indexed"]
        assert (look["fault"], look["integrity"]) == ("None", "ok")
    people = [look["people"] for look in looks]
    assert people == sorted(people)
