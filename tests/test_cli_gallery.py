"""`streamapp gallery`: what it prints, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from streamapp.choices import EventKind
from streamapp.cli_gallery import gallery_app
from streamapp.errors import GalleryInUse, NotFound
from streamapp.events.event_log import EventLog
from streamapp.gallery.gallery import store_of
from streamapp.gallery.people import Consent, Enrolment
from streamapp.settings import load_settings
from tests.events.scenes import BOB, event
from tests.events.test_store import files_of
from tests.gallery.enrolments import sample

ROOT = Path(__file__).parent.parent
NAME = "Ada [bold]Lovelace\x1b[31m"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("FILE", "KEY_FILE"):  # the defaults are in this folder
        monkeypatch.delenv(f"STREAMAPP_GALLERY__{name}")
    monkeypatch.setenv("STREAMAPP_GALLERY__BUSY_TIMEOUT_S", "0.2")
    return tmp_path


@pytest.fixture
def person() -> UUID:
    """Enrolled, with a consent that ran out long ago by the clock of now."""
    return enrolled(NAME, time.time() - 1000, time.time() - 10)


def enrolled(name: str, at: float, until: float) -> UUID:
    async def enroll() -> UUID:
        store = store_of(load_settings().gallery)
        await store.open(at)
        consent = Consent("herself", "v1", at - 10, until)
        change = await store.enroll(Enrolment(name, consent, (sample(1),)), actor="test", now=at)
        await store.close()
        return change.person.id

    return asyncio.run(enroll())


def gallery(*arguments: str) -> Result:
    result = CliRunner().invoke(gallery_app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_list_shows_people_and_no_control_characters(person: UUID) -> None:
    printed = gallery("list").stdout
    assert str(person) in printed
    assert "Ada [bold]Lovelace" in printed
    assert "\x1b" not in printed
    assert gallery("rename", str(person), "Grace").exit_code == 0
    assert "Grace" in gallery("list").stdout


def test_the_default_files_are_apart_and_for_their_owner(person: UUID, folder: Path) -> None:
    assert (folder / "gallery" / "gallery.db").stat().st_mode & 0o777 == 0o600
    assert (folder / "keys" / "gallery.key").stat().st_mode & 0o777 == 0o600


def test_an_export_goes_to_standard_output_or_a_file(person: UUID, folder: Path) -> None:
    assert json.loads(gallery("export", str(person)).stdout)["name"] == NAME
    gallery("export", str(person), "--output", "ada.json", "--embeddings")
    assert json.loads((folder / "ada.json").read_text())["samples"][0]["embeddings"][0]["vector"]


def test_erasing_asks_first(person: UUID) -> None:
    declined = CliRunner().invoke(gallery_app, ["erase", str(person)], input="n\n")
    assert declined.exit_code == 1
    assert str(person) in gallery("list").stdout
    assert gallery("erase", str(person), "--yes").stdout == f"{person} is erased\n"
    assert str(person) not in gallery("list").stdout
    again = CliRunner().invoke(gallery_app, ["erase", str(person), "--yes"])
    assert isinstance(again.exception, NotFound)


def test_the_events_of_who_is_erased_are_nobodys(person: UUID) -> None:
    settings = load_settings().events

    async def publish() -> None:
        async with EventLog.start(settings, lambda _: None) as log:
            log.publish(event(EventKind.IDENTIFIED, person_id=person))
            log.publish(event(EventKind.IDENTIFIED, person_id=BOB))

    asyncio.run(publish())
    assert person.bytes in files_of(settings.file)
    gallery("erase", str(person), "--yes")
    assert person.bytes not in files_of(settings.file)
    assert BOB.bytes in files_of(settings.file)


def test_retention_says_what_it_did_and_does_it_once(person: UUID) -> None:
    kept = enrolled("Grace", time.time(), time.time() + 1000)
    assert gallery("retention").stdout.startswith("erased: 1 whose consent ran out, 0 not seen")
    assert gallery("retention").stdout.startswith("erased: 0 whose consent ran out, 0 not seen")
    printed = gallery("list").stdout
    assert (str(person) in printed, str(kept) in printed) == (False, True)
    log = gallery("audit", "list").stdout
    assert log.count("retention_run") == 2
    assert "consent_ended" in log
    assert "Ada" not in log


def test_a_tampered_audit_log_is_exit_code_1(person: UUID, folder: Path) -> None:
    whole = gallery("audit", "verify")
    assert (whole.exit_code, whole.stdout) == (0, "the audit log is whole\n")
    with sqlite3.connect(folder / "gallery" / "gallery.db") as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET at = at + 1 WHERE number = 1")
    connection.close()
    broken = gallery("audit", "verify")
    assert (broken.exit_code, broken.stdout) == (1, "the audit log is NOT whole: entry 1 was changed\n")


def test_while_another_process_has_the_gallery_it_is_said_so(person: UUID) -> None:
    async def hold() -> None:
        store = store_of(load_settings().gallery)
        await store.open(0)
        try:
            done = await asyncio.to_thread(CliRunner().invoke, gallery_app, ["list"])
            assert isinstance(done.exception, GalleryInUse)
        finally:
            await store.close()

    asyncio.run(hold())


def test_a_wrong_id_is_bad_usage() -> None:
    assert CliRunner().invoke(gallery_app, ["erase", "../../etc", "--yes"]).exit_code == 2


def test_errors_are_one_line_and_an_exit_code(person: UUID, folder: Path) -> None:
    command = [sys.executable, "-m", "streamapp", "gallery", "erase", str(uuid4()), "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nobody in the gallery has the id")
    assert len(done.stderr.splitlines()) == 1


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
