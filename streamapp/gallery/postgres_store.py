"""The gallery in a PostgreSQL database, in a schema of its own. The same encrypted rows as in SQLite.

Needs psycopg 3 (`streamapp[postgres]`), which is imported only here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from streamapp.errors import GalleryError, GalleryInUse, GalleryUnusable, Overloaded, StreamappError
from streamapp.gallery.database import Row, Value

SCHEMA = "streamapp"
_WRITER_LOCK = 0x5347414C
"""Number of the advisory lock that the one writer holds."""
_APPEND_ONLY = (
    f"CREATE FUNCTION {SCHEMA}.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;;"
    "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.audit_is_append_only()"
)


class _Statements:
    """A Session."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def run(self, sql: str, *values: Value) -> list[Row]:
        cursor = self._connection.execute(_marked(sql), values or None)
        return cursor.fetchall() if cursor.description is not None else []

    def stream(self, sql: str, *values: Value) -> Iterator[Row]:
        with self._connection.cursor(name="rows") as cursor:
            cursor.execute(_marked(sql), values or None)
            yield from cursor


class PostgresDatabase:
    """A Database. A lost connection is made anew at the next transaction."""

    def __init__(self, url: str, busy_timeout_s: float) -> None:
        """Raises GalleryUnusable for an address that is none."""
        self._busy_timeout_s = busy_timeout_s
        try:
            parts = conninfo_to_dict(url)
            self._conninfo = make_conninfo(
                url,
                connect_timeout=max(2, math.ceil(busy_timeout_s)),
                application_name="streamapp",
                options=f"-c search_path={SCHEMA},public -c lock_timeout={math.ceil(busy_timeout_s * 1e3)}"
                " -c synchronous_commit=on",
            )
        except psycopg.Error as error:
            raise GalleryUnusable("gallery.postgres_url is not an address of a PostgreSQL database") from error
        self._location = f"PostgreSQL database {parts.get('dbname', '')} at {parts.get('host', 'the default host')}"
        self._connection: psycopg.Connection[TupleRow] | None = None

    @property
    def location(self) -> str:
        return self._location

    @property
    def words(self) -> dict[str, str]:
        return {"bytes": "BYTEA", "real": "DOUBLE PRECISION", "append_only": _APPEND_ONLY}

    def open(self) -> bool:
        with self._mapped():
            connection = self._connected()
            with connection.transaction():
                return connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.meta",)).fetchall()[0][0] is None

    def prepare(self) -> None:
        with self._mapped():
            connection = self._connected()
            with connection.transaction():
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    @contextmanager
    def transaction(self) -> Iterator[_Statements]:
        with self._mapped():
            connection = self._connected()
            with connection.transaction():
                yield _Statements(connection)

    def scrub(self) -> None:
        """Rewrites the table that holds the wrapped keys, and frees the space of the rest. PostgreSQL's own log and its
        backups keep old pages as long as they are kept: ciphertext, whose key is under the master key."""
        with self._mapped():
            connection = self._connected()
            connection.execute("VACUUM (FULL) people")
            connection.execute("VACUUM samples, rejections")

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):  # the connection is given up either way
                self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            try:  # a moment's patience: a writer that has just ended may still hold it
                self._connection.execute("SELECT pg_advisory_lock(%s)", (_WRITER_LOCK,))
            except psycopg.errors.LockNotAvailable as error:
                self.close()
                raise GalleryInUse(f"the gallery in {self._location} is in use by another process") from error
        return self._connection

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except StreamappError:
            raise
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.QueryCanceled,
            psycopg.errors.TooManyConnections,
        ) as error:
            raise Overloaded(
                f"the gallery in {self._location} is held by another program; try again",
                retry_after_s=max(1, round(self._busy_timeout_s)),
            ) from error
        except psycopg.OperationalError as error:
            raise GalleryError(f"the gallery in {self._location} cannot be reached: {_first_line(error)}") from error
        except psycopg.Error as error:
            raise GalleryError(f"the gallery in {self._location}: {_first_line(error)}") from error


def _marked(sql: str) -> bytes:
    """psycopg marks values with %s."""
    return sql.replace("?", "%s").encode()


def _first_line(error: psycopg.Error) -> str:
    """Without the statement and its values."""
    return (str(error).splitlines() or [type(error).__name__])[0]
