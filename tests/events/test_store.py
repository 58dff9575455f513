"""Events are kept, found, forgotten and deleted in time; the file is nobody's who was erased."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from streamapp.choices import EventKind
from streamapp.errors import EventStoreError, EventStoreUnusable
from streamapp.events import event_table
from streamapp.events.event import Event
from streamapp.events.event_table import EventTable
from streamapp.events.search import EventFilter, EventQuery
from streamapp.events.store import EventRetention, EventStore
from streamapp.results import DropReason, IdentityState
from tests.events.scenes import ADA, BOB, NOW, event

DAY_S = 86400.0
ROOT = Path(__file__).parent.parent.parent


def store_at(path: Path, *, max_events: int = 1000, capacity: int = 10_000) -> EventStore:
    return EventStore(EventTable(path, 0.2), EventRetention(10 * DAY_S, max_events), capacity)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events" / "events.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[EventStore]:
    store = store_at(path)
    await store.open()
    yield store
    await store.close()


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


async def all_of(store: EventStore) -> list[Event]:
    return await store.find(EventQuery(limit=100_000))


async def test_events_come_back_as_they_were_newest_first(store: EventStore, path: Path) -> None:
    first = event()
    full = event(
        EventKind.LEFT, visit=uuid4(), track=3, frame=7, pts_s=0.25, person_id=ADA, because="gone", score=0.5,
        duration_s=12.5, identity=IdentityState.IDENTIFIED,
    )  # fmt: skip
    events = [first, full, event(EventKind.STREAM_LOST, because="source_timeout")]
    for one in events:
        store.append(one)
    assert await all_of(store) == events[::-1]
    await store.close()
    again = store_at(path)
    assert await again.open() == events[-1].id
    assert await all_of(again) == events[::-1]
    await again.close()
    assert {oct(file.stat().st_mode)[-3:] for file in path.parent.iterdir()} == {"600"}


async def test_they_are_found_by_time_person_stream_and_kind(store: EventStore) -> None:
    events = [
        event(kind, stream=stream, person_id=person, at=NOW + number, identity=[*IdentityState, None][number % 4])
        for number, (kind, stream, person) in enumerate(
            (kind, stream, person) for kind in EventKind for stream in ("door", "yard") for person in (None, ADA, BOB)
        )
    ]
    for one in events:
        store.append(one)
    for wanted in (
        EventFilter(),
        EventFilter(since=NOW + 5),
        EventFilter(until=NOW + 5),
        EventFilter(since=NOW + 5, until=NOW + 20, stream="yard"),
        EventFilter(person_id=ADA),
        EventFilter(person_id=UUID(int=9)),
        EventFilter(stream="door", kinds=frozenset({EventKind.LEFT, EventKind.IDENTIFIED})),
        EventFilter(stream="do' OR TRUE --"),
        EventFilter(identities=frozenset({IdentityState.UNKNOWN, IdentityState.UNDECIDED})),
        EventFilter(identities=frozenset({IdentityState.UNKNOWN}), kinds=frozenset({EventKind.LEFT}), stream="yard"),
    ):
        matching = [one for one in events if wanted.matches(one)]
        assert await store.find(EventQuery(wanted)) == matching[::-1], wanted
    assert await store.find(EventQuery(limit=3, before=events[10].id)) == events[9:6:-1]
    assert await store.find(EventQuery(limit=3, after=events[10].id)) == events[11:14]
    assert sorted(await store.people()) == sorted([ADA, BOB])


async def test_a_file_of_the_first_version_is_taken_over(path: Path) -> None:
    path.parent.mkdir()
    old = event(EventKind.LEFT, at=NOW, duration_s=3.0)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in event_table.MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={event_table.APPLICATION_ID}")
        connection.execute("PRAGMA user_version=1")
        columns = "id, at, kind, stream, duration_s"
        values = (old.id.bytes, old.at, old.kind, old.stream, old.duration_s)
        connection.execute(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?)", values)
        connection.commit()
    store = store_at(path)
    await store.open()
    new = event(EventKind.LEFT, identity=IdentityState.UNKNOWN)
    store.append(new)
    assert await all_of(store) == [new, old]
    await store.close()


async def test_the_old_and_the_many_are_deleted_from_the_disk_too(path: Path) -> None:
    store = store_at(path, max_events=5)
    await store.open()
    old, new = event(at=NOW - 11 * DAY_S, stream="long-ago"), [event(at=NOW) for _ in range(8)]
    for one in (old, *new):
        store.append(one)
    assert len(await all_of(store)) == 9
    assert b"long-ago" in files_of(path)
    await store.tend(NOW)
    assert await all_of(store) == new[:2:-1]
    assert b"long-ago" not in files_of(path)
    await store.close()


async def test_nothing_is_left_of_a_person_who_is_forgotten(store: EventStore, path: Path) -> None:
    people = [uuid4() for _ in range(20)]
    for number in range(3000):
        store.append(event(EventKind.IDENTIFIED, person_id=people[number % 20], track=number))
    await store.settle()
    for person in people:
        assert person.bytes in files_of(path), "what is looked for can be found"
    for person in people[:3]:
        store.forget(person)
    store.append(event(person_id=people[5]))
    assert await store.settle()
    bytes_left = files_of(path)
    assert not [person for person in people[:3] if person.bytes in bytes_left]
    assert all(person.bytes in bytes_left for person in people[3:])
    assert len(await all_of(store)) == 3001, "that something happened stays"
    assert not await store.find(EventQuery(EventFilter(person_id=people[0])))


async def test_what_waits_is_forgotten_too(store: EventStore, path: Path) -> None:
    for _ in range(100):
        store.append(event(person_id=ADA))
    store.forget(ADA)
    assert await store.settle()
    assert ADA.bytes not in files_of(path)
    assert [one.person_id for one in await all_of(store)] == [None] * 100


async def test_a_reader_in_the_way_delays_forgetting(store: EventStore, path: Path) -> None:
    store.append(event(person_id=ADA))
    await store.settle()
    other = sqlite3.connect(path)
    other.execute("BEGIN")
    other.execute("SELECT * FROM events").fetchall()
    store.forget(ADA)
    assert not await store.settle()
    assert store.error is not None
    other.close()
    await store.tend(NOW)
    assert await store.settle()
    assert store.error is None
    assert ADA.bytes not in files_of(path)


async def test_what_cannot_be_written_waits_and_the_rest_is_counted(path: Path) -> None:
    store = store_at(path, capacity=10)
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    events = [event() for _ in range(15)]
    for one in events:
        store.append(one)
    assert not await store.settle()
    assert store.drops[DropReason.QUEUE_FULL] >= 4  # one may be with the writer just then
    assert store.error is not None
    other.execute("ROLLBACK")
    other.close()
    assert await store.settle()
    assert store.waiting == 0
    kept = await all_of(store)
    assert kept == events[: len(kept)][::-1]
    assert len(kept) + store.drops.total() == 15
    await store.close()
    store.append(event())
    assert store.drops[DropReason.CLOSED] == 1
    with pytest.raises(EventStoreError):
        await all_of(store)


async def test_a_damaged_foreign_or_newer_file_is_left_alone(path: Path, tmp_path: Path) -> None:
    store = store_at(path)
    await store.open()
    for _ in range(500):
        store.append(event())
    await store.close()
    whole = await asyncio.to_thread(path.read_bytes)

    newer = tmp_path / "newer.db"
    newer.write_bytes(whole)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(whole[:8192] + os.urandom(4096) + whole[12288:])
    text = tmp_path / "text.db"
    text.write_text("this is no database, but it is long enough to be looked at as one" * 100)
    for file in (newer, foreign, damaged, text):
        before = file.read_bytes()
        with pytest.raises(EventStoreUnusable, match=file.name):
            await store_at(file).open()
        assert file.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EventStoreUnusable, match=r"file/events\.db"):
        await store_at(tmp_path / "file" / "events.db").open()


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.events.scenes import ADA, event
from tests.events.test_store import store_at

async def main():
    store = store_at(Path(sys.argv[1]), max_events=1_000_000)
    await store.open()
    while True:
        for _ in range(5):
            store.append(event(person_id=ADA))
        await store.settle()
        print("written", flush=True)

asyncio.run(main())
"""


def killed_after(path: Path, writes: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        for _ in range(writes):
            assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.mark.parametrize("writes", [1, 7, 40])
async def test_a_writer_killed_at_any_moment_leaves_a_readable_file(path: Path, writes: int) -> None:
    await asyncio.to_thread(killed_after, path, writes)
    store = store_at(path)
    newest = await store.open()
    kept = await all_of(store)
    assert len(kept) >= 5 * writes, "what was said to be on disk is there"
    assert kept[0].id == newest
    store.append(event())
    assert len(await all_of(store)) == len(kept) + 1
    await store.close()
