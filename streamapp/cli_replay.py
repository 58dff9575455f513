"""`streamapp replay`: a clip again, and what is decided differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from streamapp.errors import ExitCode, UsageError
from streamapp.faces import Mode
from streamapp.replay.clip import Clip, open_clip
from streamapp.replay.differences import EXACT, TOLERANCES
from streamapp.replay.golden import GoldenHeader, Record, checksum, read_record, write_golden
from streamapp.replay.report import Report, print_report
from streamapp.replay.run import Replayed, replay
from streamapp.settings import Settings

_PIPE_WIDTH = 160


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    clip: Path
    against: Path | None
    """None: what was recorded with the clip."""
    update: Path | None
    mode: Mode | None
    tolerances: Sequence[str]
    exact: bool
    json: bool
    limit: int


async def replay_clip(options: ReplayOptions, settings: Settings) -> ExitCode:
    """CHECK_FAILED if a decision differs. Raises UsageError, ModelError, SourceError."""
    clip = open_clip(options.clip)
    tolerances = tolerances_of(options.tolerances, exact=options.exact)
    record = _record(options, clip)
    mode = _mode(options, record, settings)
    replayed = await replay(clip, mode, settings, record)
    code = ExitCode.OK
    if record is not None:
        code = _compare(options, record, replayed, tolerances)
    if options.update is not None:
        _update(options.update, clip, record, replayed)
    return code


def tolerances_of(changes: Sequence[str], *, exact: bool) -> dict[str, float]:
    """The usual ones, or none, with changes like `box=2`. Raises UsageError."""
    tolerances = dict(EXACT if exact else TOLERANCES)
    for change in changes:
        field, _, number = change.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not field or not value >= 0:
            raise UsageError(f"a tolerance is FIELD=NUMBER, such as box=1.5, not {change!r}")
        tolerances[field] = value
    return tolerances


def _record(options: ReplayOptions, clip: Clip) -> Record | None:
    path = options.against or (None if options.update is not None else clip.sidecar)
    if path is None:
        if options.update is None:
            raise UsageError("say what to compare with (--against), or where to write the results (--update)")
        return None
    record = read_record(path)
    if record.clip_sha256 is not None and clip.path.is_file() and record.clip_sha256 != checksum(clip.path):
        raise UsageError(f"{path} is of another clip than {clip.path}, or the clip was changed since")
    return record


def _mode(options: ReplayOptions, record: Record | None, settings: Settings) -> Mode:
    if record is None:
        return options.mode or settings.pipeline.mode
    if options.mode not in (None, record.mode) and record.is_live:
        raise UsageError(f"{record.name} is of a live session in mode {record.mode}, and can only be repeated in that")
    return options.mode or record.mode


def _compare(options: ReplayOptions, record: Record, replayed: Replayed, tolerances: dict[str, float]) -> ExitCode:
    report = Report.of(str(options.clip), record, replayed, tolerances)
    if options.json:
        typer.echo(report.to_json())
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _PIPE_WIDTH
        print_report(report, console, limit=options.limit)
    return ExitCode.CHECK_FAILED if report.differences else ExitCode.OK


def _update(path: Path, clip: Clip, record: Record | None, replayed: Replayed) -> None:
    header = GoldenHeader(
        **replayed.conditions.model_dump(),
        clip=clip.path.name,
        clip_sha256=checksum(clip.path) if clip.path.is_file() else "",
        scheduled=record is not None and record.is_live,
    )
    write_golden(path, header, replayed.results)
    typer.echo(f"{len(replayed.results)} results written to {path}", err=True)
