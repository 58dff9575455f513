"""What is PostgreSQL's own, against a real server: lost connections, locks, what lies in its files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from streamapp.errors import GalleryError, GalleryUnusable, Overloaded
from streamapp.gallery.postgres_store import PostgresDatabase
from streamapp.gallery.store import GalleryStore
from tests.gallery.enrolments import NOW, enrolment
from tests.postgres_server import PostgresServer

WINDOW = 16


@pytest.fixture
def url(any_postgres: PostgresServer) -> str:
    return any_postgres.fresh_database("gallery")


@pytest.fixture
async def store(url: str, tmp_path: Path) -> AsyncIterator[GalleryStore]:
    store = GalleryStore(PostgresDatabase(url, 0.5), tmp_path / "gallery.key")
    await store.open(NOW)
    yield store
    await store.close()


def table_files(url: str, server: PostgresServer) -> bytes:
    """All files of the database, once the server has written them; its log of changes is not among them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        (number,) = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchall()[0]
    folder = server.folder / "data" / "base" / str(number)
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


async def test_rows_are_encrypted_and_the_key_of_the_erased_is_gone_from_the_tables(
    url: str, store: GalleryStore, any_postgres: PostgresServer
) -> None:
    for seed in range(20):
        await store.enroll(enrolment(f"Lovelace {seed}", seed), actor="test", now=NOW)
    person = (await store.people())[7].id
    with psycopg.connect(url) as connection:
        (key, profile) = connection.execute(
            "SELECT wrapped_key, profile FROM streamapp.people WHERE id = %s", (str(person),)
        ).fetchall()[0]
    before = table_files(url, any_postgres)
    assert key[:WINDOW] in before
    assert b"Lovelace" not in before
    assert enrolment("x", 1).samples[0].embeddings[0].vector[:4].tobytes() not in before
    await store.erase(person, actor="test", now=NOW)
    after = table_files(url, any_postgres)
    for secret in (key, profile):
        assert not [i for i in range(0, len(secret) - WINDOW, WINDOW) if secret[i : i + WINDOW] in after]
    assert len(await store.people()) == 19


async def test_a_lost_connection_is_an_error_once_and_then_made_anew(url: str, store: GalleryStore) -> None:
    await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'streamapp' AND datname = current_database()"
        )
    with pytest.raises(GalleryError, match="cannot be reached"):
        await store.people()
    assert len(await store.people()) == 1


async def test_a_table_held_by_another_program_is_an_overload(url: str, store: GalleryStore) -> None:
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE streamapp.people IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Overloaded, match="held by another program"):
            await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)
    await store.enroll(enrolment("Ada", 1), actor="test", now=NOW)


async def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://someone:secret@/gallery?host={tmp_path}"
    with pytest.raises(GalleryError, match="cannot be reached") as caught:
        await GalleryStore(PostgresDatabase(url, 0.5), tmp_path / "gallery.key").open(NOW)
    assert str(tmp_path) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "gallery.key").exists()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(GalleryUnusable, match="is not an address"):
        PostgresDatabase("http://example", 1.0)
