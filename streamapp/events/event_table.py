"""The SQLite file that events are kept in: write-ahead log, every commit on disk, deleted bytes zeroed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.errors import EventStoreError, EventStoreUnusable
from streamapp.events.event import Event
from streamapp.events.search import EventQuery
from streamapp.results import IdentityState

APPLICATION_ID = 0x53455654
"""Marks the file as ours (PRAGMA application_id)."""
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE events (id BLOB PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, stream TEXT NOT NULL,"
        " visit BLOB, track INTEGER, frame INTEGER, pts_s REAL, person_id BLOB, because TEXT, score REAL,"
        " duration_s REAL) WITHOUT ROWID",
        "CREATE INDEX events_by_time ON events (at)",
        "CREATE INDEX events_by_stream ON events (stream, id)",
        "CREATE INDEX events_by_person ON events (person_id, id) WHERE person_id IS NOT NULL",
    ),
    ("ALTER TABLE events ADD COLUMN identity TEXT",),
)
"""What takes the schema (PRAGMA user_version) from each version to the next. Never changed once released."""
_COLUMNS = "id, at, kind, stream, visit, track, frame, pts_s, person_id, because, score, duration_s, identity"
_UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_Value = bytes | str | float | int | None


class EventTable:
    """Used from one thread. Every method raises EventStoreError, and EventStoreUnusable for a damaged file."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._connection: sqlite3.Connection | None = None
        self._is_scrub_due = False

    def open(self) -> None:
        """Raises EventStoreUnusable for a damaged, foreign or newer file, which is left as it is."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The log and the shared-memory file get the mode of the database.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise EventStoreUnusable(f"the events file {self._path} cannot be opened: {error}") from error
        with self._mapped():
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(
                uri, uri=True, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                self._check(connection)
                for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF"):
                    connection.execute(f"PRAGMA {setting}")
                connection.execute("PRAGMA temp_store=MEMORY")
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            with self._mapped():
                self._connection.close()
            self._connection = None

    def add(self, events: Sequence[Event]) -> None:
        """All of them or none."""
        with self._transaction() as connection:
            marks = ", ".join("?" * len(_COLUMNS.split(",")))
            statement = f"INSERT OR IGNORE INTO events ({_COLUMNS}) VALUES ({marks})"  # noqa: S608 - constants
            connection.executemany(statement, [_row(event) for event in events])

    def find(self, query: EventQuery) -> list[Event]:
        wanted = query.filter
        conditions: list[tuple[str, _Value]] = []
        if wanted.since is not None:
            conditions.append(("at >= ?", wanted.since))
        if wanted.until is not None:
            conditions.append(("at < ?", wanted.until))
        if wanted.person_id is not None:
            conditions.append(("person_id = ?", wanted.person_id.bytes))
        if wanted.stream is not None:
            conditions.append(("stream = ?", wanted.stream))
        if query.before is not None:
            conditions.append(("id < ?", query.before.bytes))
        if query.after is not None:
            conditions.append(("id > ?", query.after.bytes))
        texts = [text for text, _ in conditions]
        values = [value for _, value in conditions]
        for column, members in (("kind", wanted.kinds), ("identity", wanted.identities)):
            if members:
                texts.append(f"{column} IN ({', '.join('?' * len(members))})")
                values += [member.value for member in members]
        where = " AND ".join(texts) or "TRUE"
        order = "DESC" if query.after is None else "ASC"
        statement = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY id {order} LIMIT ?"  # noqa: S608 - constants
        with self._mapped():
            return [_event(row) for row in self._opened().execute(statement, (*values, query.limit))]

    def count(self) -> int:
        with self._mapped():
            (count,) = self._opened().execute("SELECT count(*) FROM events").fetchone()
            return int(count)

    def newest_id(self) -> UUID | None:
        with self._mapped():
            (newest,) = self._opened().execute("SELECT max(id) FROM events").fetchone()
            return None if newest is None else UUID(bytes=newest)

    def people(self) -> list[UUID]:
        """Everybody some event is about."""
        with self._mapped():
            rows = self._opened().execute("SELECT DISTINCT person_id FROM events WHERE person_id IS NOT NULL")
            return [UUID(bytes=row[0]) for row in rows]

    def sweep(self, oldest_at: float, max_events: int) -> int:
        """Deletes what happened before `oldest_at`, and the oldest beyond `max_events`. How many that were."""
        with self._transaction() as connection:
            deleted = connection.execute("DELETE FROM events WHERE at < ?", (oldest_at,)).rowcount
            extra = "SELECT id FROM events ORDER BY id DESC LIMIT -1 OFFSET ?"
            deleted += connection.execute(f"DELETE FROM events WHERE id IN ({extra})", (max_events,)).rowcount  # noqa: S608
        if deleted or self._is_scrub_due:
            self._scrub()
        return deleted

    def forget(self, people: Sequence[UUID]) -> None:
        """Takes these people out of all events, from the disk too: the file is written anew, and its log emptied."""
        with self._transaction() as connection:
            statement = "UPDATE events SET person_id = NULL WHERE person_id = ?"
            connection.executemany(statement, [(person_id.bytes,) for person_id in people])
        with self._mapped():
            self._opened().execute("VACUUM")
        self._scrub()

    def _scrub(self) -> None:
        """Removes the write-ahead log, which has what was deleted. Raises EventStoreError while another program reads
        the file."""
        with self._mapped():
            (busy, *_) = self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._is_scrub_due = bool(busy)
        if busy:
            raise EventStoreError(f"another program reads {self._path}: what was deleted stays in its log until later")

    def _check(self, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables and application in (0, APPLICATION_ID):
            return
        if application != APPLICATION_ID:
            raise EventStoreUnusable(f"{self._path} is not an events file but a database of another program")
        faults = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        if faults != ["ok"]:
            raise EventStoreUnusable(f"the events file {self._path} is damaged ({faults[0]}); move it away")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise EventStoreUnusable(f"{self._path} is of a newer version of this app (schema {version})")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise EventStoreError(f"the events file {self._path} is not open")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mapped():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _UNUSABLE:
                raise EventStoreUnusable(f"the events file {self._path} is damaged: {error}") from error
            raise EventStoreError(f"the events file {self._path}: {error}") from error


def _row(event: Event) -> tuple[_Value, ...]:
    return (
        event.id.bytes,
        event.at,
        event.kind.value,
        event.stream,
        None if event.visit is None else event.visit.bytes,
        event.track,
        event.frame,
        event.pts_s,
        None if event.person_id is None else event.person_id.bytes,
        event.because,
        event.score,
        event.duration_s,
        None if event.identity is None else event.identity.value,
    )


def _event(row: tuple[Any, ...]) -> Event:
    """Of a row with the table's own types."""
    id_, at, kind, stream, visit, track, frame, pts_s, person_id, because, score, duration_s, identity = row
    return Event(
        UUID(bytes=id_),
        EventKind(kind),
        stream,
        at,
        None if visit is None else UUID(bytes=visit),
        track,
        frame,
        pts_s,
        None if person_id is None else UUID(bytes=person_id),
        because,
        score,
        duration_s,
        None if identity is None else IdentityState(identity),
    )
