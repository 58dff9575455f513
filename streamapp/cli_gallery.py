"""`streamapp gallery list | export | rename | erase | retention | audit`, and the commands of cli_enrolment. Errors of
ours are left to main()."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from streamapp import cli_enrolment
from streamapp.errors import ExitCode, UsageError
from streamapp.events.event_log import forget_people
from streamapp.gallery.export import export_json
from streamapp.gallery.gallery import retention_of, store_of
from streamapp.gallery.store import GalleryStore
from streamapp.gallery.times import iso_time
from streamapp.log import one_line
from streamapp.settings import load_settings

ACTOR = "cli"
_PIPE_WIDTH = 200

gallery_app = typer.Typer(
    help="The people who are recognised. Not while a server of this app has the gallery open.", no_args_is_help=True
)
audit_app = typer.Typer(help="The log of who did what to whom.", no_args_is_help=True)
gallery_app.add_typer(audit_app, name="audit")
for command in (cli_enrolment.enroll, cli_enrolment.identify, cli_enrolment.verify):
    gallery_app.command()(command)

_Person = Annotated[UUID, typer.Argument(help="The person's id, as `gallery list` shows it.")]
T = TypeVar("T")


@gallery_app.command("list")
def list_people() -> None:
    """Everybody in the gallery."""
    table = Table("id", "name", "consent by", "to text", "until", "enrolled", "last seen")
    for person in _with_store(lambda store: store.people()):
        consent = person.consent
        texts = map(one_line, (person.name, consent.given_by, consent.text_version))
        table.add_row(
            str(person.id), *texts, *map(iso_time, (consent.expires_at, person.created_at, person.last_seen_at))
        )
    _print(table)


@gallery_app.command()
def export(
    person: _Person,
    output: Annotated[Path | None, typer.Option(help="Where to write it; default: standard output.")] = None,
    embeddings: Annotated[bool, typer.Option(help="With the numbers by which the face is recognised.")] = False,
) -> None:
    """Everything about one person, as JSON."""
    exported = _with_store(lambda store: store.export(person, actor=ACTOR, now=time.time()))
    text = export_json(exported, with_embeddings=embeddings)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error}") from error


@gallery_app.command()
def rename(person: _Person, name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
    """Give somebody another name."""
    _with_store(lambda store: store.rename(person, name, actor=ACTOR, now=time.time()))


@gallery_app.command()
def erase(person: _Person, yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False) -> None:
    """Erase somebody for good: the data, their key and what the files had of it. Backups keep theirs."""
    if not yes:
        typer.confirm(f"Erase {person} for good?", abort=True, err=True)
    erasure = _with_store(lambda store: store.erase(person, actor=ACTOR, now=time.time()))
    _forget_events([person])
    typer.echo(f"{person} is erased")
    if not erasure.is_scrubbed:
        typer.echo("another program reads the database; its log is cleaned at the next change or start", err=True)


@gallery_app.command()
def retention() -> None:
    """Erase whose consent has run out and who was not seen for too long. Run it daily."""
    rule = retention_of(load_settings().gallery)
    swept = _with_store(lambda store: store.sweep(rule, actor=ACTOR, now=time.time()))
    _forget_events(swept.erased)
    typer.echo(f"erased: {len(swept.consent_ended)} whose consent ran out, {len(swept.unseen)} not seen for too long")
    typer.echo(f"old rejections forgotten of: {len(swept.changed)}")


@audit_app.command("list")
def list_audit() -> None:
    """All entries, oldest first."""
    table = Table("number", "time", "actor", "action", "person", "details")
    for entry in _with_store(lambda store: store.audit()):
        details = ", ".join(f"{name} {value}" for name, value in entry.details.items())
        person = "" if entry.person_id is None else str(entry.person_id)
        table.add_row(str(entry.number), iso_time(entry.at), entry.actor, entry.action, person, details)
    _print(table)


@audit_app.command("verify")
def verify_audit() -> None:
    """Check that nothing in the log was changed, removed or forged. Exit code 1 if it was."""
    fault = _with_store(lambda store: store.audit_fault())
    if fault is None:
        typer.echo("the audit log is whole")
        return
    typer.echo(f"the audit log is NOT whole: entry {fault.number} {fault.problem}")
    raise typer.Exit(ExitCode.CHECK_FAILED)


def _with_store(work: Callable[[GalleryStore], Awaitable[T]]) -> T:
    async def run() -> T:
        store = store_of(load_settings().gallery)
        await store.open(time.time())
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _forget_events(people: Collection[UUID]) -> None:
    """Events of the erased, if there are any events, are nobody's any more."""
    settings = load_settings().events
    if people and settings.file.exists():
        asyncio.run(forget_people(settings, people))


def _print(table: Table) -> None:
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table, markup=False)
