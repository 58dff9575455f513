"""What the store needs of a database, and the tables in it. SQL is the common part of SQLite's and PostgreSQL's; `?`
stands for a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from streamapp.errors import GalleryUnusable

Value = str | bytes | float | int | None
Row = tuple[Any, ...]
"""As the statement's columns say."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE people (id TEXT PRIMARY KEY, wrapped_key {bytes} NOT NULL, profile {bytes} NOT NULL,"
        " created_at {real} NOT NULL, last_seen_at {real} NOT NULL, expires_at {real} NOT NULL)",
        "CREATE TABLE samples (id TEXT PRIMARY KEY, person_id TEXT NOT NULL REFERENCES people (id),"
        " added_at {real} NOT NULL, sealed {bytes} NOT NULL)",
        "CREATE INDEX samples_of_person ON samples (person_id)",
        "CREATE TABLE rejections (id TEXT PRIMARY KEY, person_id TEXT NOT NULL REFERENCES people (id),"
        " added_at {real} NOT NULL, sealed {bytes} NOT NULL)",
        "CREATE INDEX rejections_of_person ON rejections (person_id)",
        "CREATE TABLE audit (number BIGINT PRIMARY KEY, at {real} NOT NULL, actor TEXT NOT NULL,"
        " action TEXT NOT NULL, person_id TEXT, details TEXT NOT NULL, previous_hash TEXT NOT NULL,"
        " hash TEXT NOT NULL)",
        "{append_only}",
    ),
)
"""What takes the schema from each version to the next. Never changed once released, only added to."""


class Session(Protocol):
    """Statements inside one transaction."""

    def run(self, sql: str, *values: Value) -> list[Row]:
        """All rows of the answer; none for a statement that has none."""

    def stream(self, sql: str, *values: Value) -> Iterator[Row]:
        """The rows one after the other, of answers too large to hold. Read to the end before the next statement."""


class Database(Protocol):
    """Used from one thread. Every method raises GalleryError, or Overloaded where waiting for another program took too
    long."""

    @property
    def location(self) -> str:
        """For messages; without a password."""

    @property
    def words(self) -> dict[str, str]:
        """What stands for `{bytes}`, `{real}` and so on in MIGRATIONS."""

    def open(self) -> bool:
        """Takes the place of the one writer and checks what is there, changing nothing. Whether there is nothing yet.
        Raises GalleryUnusable and GalleryInUse."""

    def prepare(self) -> None:
        """Makes the database ready for writing, once its version and key are known to be right."""

    def transaction(self) -> AbstractContextManager[Session]:
        """All or nothing; on disk once the block is left without an exception."""

    def scrub(self) -> None:
        """Removes from disk what was deleted."""

    def close(self) -> None: ...


def schema_version(session: Session) -> int:
    (row,) = session.run("SELECT value FROM meta WHERE name = 'schema_version'")
    return int(bytes(row[0]))


def check_version(version: int, location: str, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Raises GalleryUnusable for a schema newer than this program."""
    if version > len(migrations):
        raise GalleryUnusable(
            f"{location} is of a newer version of this app (schema {version}, this one knows {len(migrations)})"
        )


def migrate(session: Session, words: dict[str, str], migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Brings the schema up to date, inside the caller's transaction."""
    session.run("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value {bytes} NOT NULL)".format(**words))
    found = session.run("SELECT value FROM meta WHERE name = 'schema_version'")
    version = int(bytes(found[0][0])) if found else 0
    for statements in migrations[version:]:
        for statement in statements:
            for single in statement.format(**words).split(";;"):
                session.run(single)
    put_meta(session, "schema_version", str(len(migrations)).encode())


def meta(session: Session, name: str) -> bytes | None:
    rows = session.run("SELECT value FROM meta WHERE name = ?", name)
    return bytes(rows[0][0]) if rows else None


def put_meta(session: Session, name: str, value: bytes) -> None:
    session.run("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
