"""Databases to keep a gallery in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from streamapp.gallery.database import Database
from streamapp.gallery.sqlite_store import SqliteDatabase
from streamapp.gallery.store import GalleryStore
from tests.gallery.enrolments import NOW
from tests.postgres_server import PostgresServer, postgres_server

BUSY_S = 0.2
POSTGRES = ("debian", "pgserver")


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[PostgresServer]:
    with postgres_server("debian") as server:
        yield server


@pytest.fixture(scope="session")
def pgserver_postgres() -> Iterator[PostgresServer]:
    with postgres_server("pgserver") as server:
        yield server


@pytest.fixture(params=POSTGRES)
def any_postgres(request: pytest.FixtureRequest) -> PostgresServer:
    server: PostgresServer = request.getfixturevalue(f"{request.param}_postgres")
    return server


@pytest.fixture
def vector_postgres(any_postgres: PostgresServer) -> PostgresServer:
    if not any_postgres.has_pgvector:
        pytest.skip("this PostgreSQL has no pgvector")
    return any_postgres


@pytest.fixture(params=["sqlite", *POSTGRES])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Makes the same database, not yet open, each time."""
    if request.param == "sqlite":
        return lambda: SqliteDatabase(tmp_path / "data" / "gallery.db", BUSY_S)
    from streamapp.gallery.postgres_store import PostgresDatabase

    url = request.getfixturevalue(f"{request.param}_postgres").fresh_database("gallery")
    return lambda: PostgresDatabase(url, BUSY_S)


@pytest.fixture
def make_store(make_database: Callable[[], Database], tmp_path: Path) -> Callable[[], GalleryStore]:
    """Makes the same store, not yet open, each time."""
    return lambda: GalleryStore(make_database(), tmp_path / "keys" / "gallery.key")


@pytest.fixture
async def store(make_store: Callable[[], GalleryStore]) -> AsyncIterator[GalleryStore]:
    store = make_store()
    await store.open(NOW)
    yield store
    await store.close()
