"""Versions of the schema: from any to the newest, all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp.errors import GalleryError, GalleryUnusable
from streamapp.gallery.database import MIGRATIONS, check_version, meta, migrate, put_meta, schema_version
from streamapp.gallery.sqlite_store import SqliteDatabase

NEXT = (*MIGRATIONS, ("ALTER TABLE people ADD COLUMN note {bytes}", "UPDATE people SET note = profile"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "gallery.db", 0.1)
    database.open()
    database.prepare()
    yield database
    database.close()


def test_an_older_gallery_is_brought_up_to_date_with_its_people(database: SqliteDatabase) -> None:
    with database.transaction() as session:
        migrate(session, database.words)
        session.run("INSERT INTO people VALUES ('a', x'00', x'01', 1, 1, 1)")
        assert schema_version(session) == len(MIGRATIONS)
    with database.transaction() as session:
        migrate(session, database.words, NEXT)
        migrate(session, database.words, NEXT)
        assert schema_version(session) == len(NEXT)
        assert session.run("SELECT id, note FROM people") == [("a", b"\x01")]


def test_a_migration_that_fails_changes_nothing(database: SqliteDatabase) -> None:
    with database.transaction() as session:
        migrate(session, database.words)
    broken = (*MIGRATIONS, ("CREATE TABLE extra (id TEXT)", "NO SUCH STATEMENT"))
    with pytest.raises(GalleryError), database.transaction() as session:
        migrate(session, database.words, broken)
    with database.transaction() as session:
        assert schema_version(session) == len(MIGRATIONS)
        assert session.run("SELECT name FROM sqlite_master WHERE name = 'extra'") == []


def test_a_newer_schema_is_named_with_both_versions() -> None:
    check_version(len(MIGRATIONS), "gallery.db")
    with pytest.raises(GalleryUnusable, match=r"gallery\.db is of a newer version .*schema 2, this one knows 1"):
        check_version(2, "gallery.db", MIGRATIONS[:1])


def test_small_things_are_kept_by_name(database: SqliteDatabase) -> None:
    with database.transaction() as session:
        migrate(session, database.words)
        assert meta(session, "x") is None
        put_meta(session, "x", b"1")
        put_meta(session, "x", b"2")
        assert meta(session, "x") == b"2"


def test_an_error_inside_undoes_the_transaction(database: SqliteDatabase) -> None:
    with database.transaction() as session:
        migrate(session, database.words)

    def write_and_fail() -> None:
        with database.transaction() as session:
            put_meta(session, "x", b"1")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        write_and_fail()
    with database.transaction() as session:
        assert meta(session, "x") is None


def test_the_schema_is_in_the_file(database: SqliteDatabase, tmp_path: Path) -> None:
    with database.transaction() as session:
        migrate(session, database.words)
    reader = sqlite3.connect(tmp_path / "gallery.db")
    tables = {row[0] for row in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    reader.close()
    assert tables == {"meta", "people", "samples", "rejections", "audit"}
