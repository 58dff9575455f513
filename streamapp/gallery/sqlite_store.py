"""The gallery in one SQLite file. Write-ahead log, every commit on disk before it is answered, deleted bytes zeroed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamapp.errors import GalleryError, GalleryInUse, GalleryUnusable, Overloaded, StreamappError
from streamapp.gallery.database import Row, Value

APPLICATION_ID = 0x5347414C
"""Marks the file as ours (PRAGMA application_id)."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_APPEND_ONLY = ";;".join(
    f"CREATE TRIGGER audit_no_{event.lower()} BEFORE {event} ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for event in ("UPDATE", "DELETE")
)


class _Statements:
    """A Session."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, *values: Value) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: Value) -> Iterator[Row]:
        return self._connection.execute(sql, values)


class SqliteDatabase:
    """A Database. A lock file beside it keeps a second process of this app out; other programs may read meanwhile."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def words(self) -> dict[str, str]:
        return {"bytes": "BLOB", "real": "REAL", "append_only": _APPEND_ONLY}

    def open(self) -> bool:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._taken_lock()
            # The log and the shared-memory file get the mode of the database.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise GalleryUnusable(f"the gallery {self._path} cannot be opened: {error}") from error
        with self._mapped():
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(uri, uri=True, timeout=self._busy_timeout_s, isolation_level=None)
            return self._is_empty(self._connection)

    def _is_empty(self, connection: sqlite3.Connection) -> bool:
        """Raises GalleryUnusable for a file that is damaged or of another program."""
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables and application in (0, APPLICATION_ID):
            return True
        if application != APPLICATION_ID:
            raise GalleryUnusable(f"{self._path} is not a gallery but a database of another program")
        faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if faults != ["ok"]:
            raise GalleryUnusable(f"the gallery {self._path} is damaged ({faults[0]}); put a backup in its place")
        return False

    def prepare(self) -> None:
        with self._mapped():
            connection = self._opened()
            for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute("PRAGMA trusted_schema=OFF")
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")

    @contextmanager
    def transaction(self) -> Iterator[_Statements]:
        with self._mapped():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _Statements(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Deleted bytes are zeroed in the database; this removes the write-ahead log that held them."""
        with self._mapped():
            (busy, *_) = self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Overloaded(
                f"another program reads {self._path}: what was deleted stays in its log until the next change or start",
                retry_after_s=max(1, round(self._busy_timeout_s)),
            )

    def close(self) -> None:
        if self._connection is not None:
            with self._mapped():
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise GalleryError(f"the gallery {self._path} is closed")
        return self._connection

    def _taken_lock(self) -> int:
        """A descriptor that holds the lock as long as it is open, whatever ends the process."""
        path = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise GalleryInUse(
                f"the gallery {self._path} is in use by process {holder}; stop it, or ask it over HTTP"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return descriptor

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except StreamappError:
            raise
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _BUSY:
                raise Overloaded(
                    f"another program holds the gallery {self._path}; try again",
                    retry_after_s=max(1, round(self._busy_timeout_s)),
                ) from error
            if code in _UNUSABLE:
                raise GalleryUnusable(f"the gallery {self._path} is damaged or cannot be written: {error}") from error
            raise GalleryError(f"the gallery {self._path}: {error}") from error
