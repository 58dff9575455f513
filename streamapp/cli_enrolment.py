"""`streamapp gallery enroll | identify | verify`: the models of this process, no server. Errors of ours are left to
main()."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from streamapp.enrolment.appraisal import Appraisal, FaceReader
from streamapp.enrolment.enroller import Enroller, Refused, checked
from streamapp.enrolment.recognition import identified, verified
from streamapp.errors import ExitCode, StreamappError, UsageError
from streamapp.frame import Image
from streamapp.gallery.gate import COMPARABLE, GateRules
from streamapp.gallery.people import Consent
from streamapp.gallery.times import unix_time
from streamapp.log import one_line
from streamapp.models import Models
from streamapp.server.pictures import decode
from streamapp.settings import Settings, load_settings

ACTOR = "cli"
_PIPE_WIDTH = 200

_Photo = Annotated[Path, typer.Argument(help="A JPEG, PNG or WebP picture.")]
T = TypeVar("T")


def enroll(
    name: Annotated[str, typer.Argument(help="What the person is called.")],
    photos: Annotated[list[Path], typer.Argument(help="Pictures, each of their face alone.")],
    consent_by: Annotated[str, typer.Option(help="Who agreed: the person, or who may speak for them.")],
    consent_text: Annotated[str, typer.Option(help="Which text, in which version, they agreed to.")],
    consent_until: Annotated[str, typer.Option(help="Until when: 2027-12-31, or with time and offset.")],
    consent_at: Annotated[str | None, typer.Option(help="Since when; default: now.")] = None,
    allow_spoof: Annotated[bool, typer.Option("--allow-spoof", help="Take what looks like a print or screen.")] = False,
    allow_duplicate: Annotated[bool, typer.Option("--allow-duplicate", help="Take who looks like somebody.")] = False,
) -> None:
    """Put somebody into the gallery who agreed to it. The pictures are not kept. Exit code 2 if they are refused."""
    now = time.time()
    given_at = now if consent_at is None else unix_time(consent_at)
    consent = Consent(consent_by, consent_text, given_at, unix_time(consent_until))
    checked(name, consent, now)

    async def work(models: Models, settings: Settings) -> bool:
        _ = models.identification.gallery  # before the models are asked
        rules = GateRules(allow_spoof=allow_spoof)
        pictures = [await _appraised(models, settings, path, rules) for path in photos]
        for path, appraisal in zip(photos, pictures, strict=True):
            _print_refusals(path, appraisal)
        outcome = await Enroller(models).enroll(
            name, consent, pictures, allow_duplicate=allow_duplicate, actor=ACTOR, now=time.time()
        )
        if isinstance(outcome, Refused):
            typer.echo(f"error: {outcome.because}: {outcome.detail}", err=True)
            return False
        good = sum(appraisal.good is not None for appraisal in pictures)
        typer.echo(f"{one_line(name)} is enrolled as {outcome.person.id}, by {good} of {len(pictures)} pictures")
        for similar in outcome.similar:
            typer.echo(f"much like {similar.person_id} {one_line(similar.name or '')}: {similar.similarity:.2f}")
        return True

    if not _with_models(work):
        raise typer.Exit(ExitCode.USAGE)


def identify(photo: _Photo) -> None:
    """Who is in a picture, by the one look there is."""

    async def work(models: Models, settings: Settings) -> Table:
        _ = models.identification.gallery
        rgb = _picture(photo, settings)
        faces = await FaceReader(models).faces(rgb, COMPARABLE, client=ACTOR)
        found = await identified(models, faces, time.time())
        table = Table("box", "state", "name", "id", "similarity", "margin", "because", "liveness")
        for face in found.faces:
            view, decision = face.appraisal.view, face.identity.decision
            table.add_row(
                "" if view is None else " ".join(f"{side:.0f}" for side in view.box),
                decision.state,
                one_line(face.identity.name or ""),
                str(decision.person_id or ""),
                _number(decision.level),
                _number(decision.margin),
                ", ".join(refusal.code for refusal in face.appraisal.refusals) or decision.reason,
                (view.liveness or "") if view is not None else "",
            )
        return table

    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(_with_models(work), markup=False)


def verify(first: _Photo, second: _Photo) -> None:
    """Whether two pictures show the same person. Exit code 1 if not, 2 if that cannot be told."""

    async def work(models: Models, settings: Settings) -> ExitCode:
        pictures = [await _appraised(models, settings, path, COMPARABLE) for path in (first, second)]
        one, other = (appraisal.good for appraisal in pictures)
        if one is None or other is None:
            for path, appraisal in zip((first, second), pictures, strict=True):
                _print_refusals(path, appraisal)
            return ExitCode.USAGE
        found = await verified(models, one, other)
        says = "the same person" if found.is_same else "not the same person"
        typer.echo(f"{says}: similarity {found.score.level:.2f}, {found.threshold:.2f} is needed")
        for score in found.score.scores:
            licence = models.registry.manifest.licence_of(score.model)
            typer.echo(f"  {score.model}: cosine {score.cosine:.3f}, level {score.level:.2f} (weights: {licence})")
        return ExitCode.OK if found.is_same else ExitCode.CHECK_FAILED

    code = _with_models(work)
    if code is not ExitCode.OK:
        raise typer.Exit(code)


async def _appraised(models: Models, settings: Settings, path: Path, rules: GateRules) -> Appraisal:
    return await FaceReader(models).photo(_picture(path, settings), rules, client=ACTOR)


def _picture(path: Path, settings: Settings) -> Image:
    try:
        return decode(path.read_bytes(), settings.server.max_image_pixels)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except StreamappError as error:
        raise UsageError(f"{path}: {error}") from error


def _print_refusals(path: Path, appraisal: Appraisal) -> None:
    for refusal in appraisal.refusals:
        typer.echo(f"{path}: {refusal.code}: {refusal.detail}", err=True)


def _number(level: float | None) -> str:
    return "" if level is None else f"{level:.2f}"


def _with_models(work: Callable[[Models, Settings], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = load_settings()
        async with Models.start(settings) as models:
            try:
                return await work(models, settings)
            except StreamappError as error:
                failure = error  # not through the groups of tasks, which would wrap it
        raise failure

    return asyncio.run(run())
