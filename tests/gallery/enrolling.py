"""Enrolls people into a gallery, is killed at a random moment, and looks at what is left; again and again.

`python -m tests.gallery.enrolling FOLDER ROUNDS`: prints one line of JSON per round. One process forks all others, so
that a round takes no start of Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import streamapp.gallery.index  # noqa: F401 - loaded once, before the forks
from streamapp.gallery.audit import AuditAction
from streamapp.gallery.sqlite_store import SqliteDatabase
from streamapp.gallery.store import GalleryStore
from tests.gallery.enrolments import NOW, enrolment

SAMPLES = 3


def store_in(folder: Path) -> GalleryStore:
    return GalleryStore(SqliteDatabase(folder / "gallery.db", 5.0), folder / "gallery.key")


async def enroll_for_ever(folder: Path) -> None:
    store = store_in(folder)
    await store.open(NOW)
    while True:
        await store.enroll(enrolment("somebody", 1, samples=SAMPLES), actor="test", now=NOW)


async def look(folder: Path) -> None:
    """Prints how many people there are, and how many of them are torn."""
    store = store_in(folder)
    await store.open(NOW)  # checks the integrity of the file
    people = await store.people()
    records = [await store.record(person.id) for person in people]
    enrolled = [entry for entry in await store.audit() if entry.action is AuditAction.ENROLLED]
    templates = (await store.snapshot()).templates
    found = {
        "people": len(people),
        "torn": sum(len(record.samples) != SAMPLES for record in records),
        "logged": len(enrolled),
        "indexed": len(templates),
        "fault": repr(await store.audit_fault()),
    }
    await store.close()
    connection = sqlite3.connect(folder / "gallery.db")
    found["integrity"] = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    print(json.dumps(found), flush=True)


def forked(work: Callable[[Path], Coroutine[None, None, None]], folder: Path) -> int:
    """The child's process id."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work(folder))
        finally:
            os._exit(1)
    return child


def main(folder: Path, rounds: int) -> None:
    delays = random.Random(7)
    for _ in range(rounds):
        enrolling = forked(enroll_for_ever, folder)
        time.sleep(delays.uniform(0.01, 0.15))
        os.kill(enrolling, signal.SIGKILL)
        os.waitpid(enrolling, 0)
        os.waitpid(forked(look, folder), 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
