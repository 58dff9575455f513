"""`streamapp models list | pull | verify`. Errors of ours are left to the command line's main()."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.progress import Progress as ProgressBars
from rich.table import Table

from streamapp.choices import Profile
from streamapp.errors import DownloadFailed, ExitCode
from streamapp.log import redact
from streamapp.settings import Settings, load_settings
from streamapp.zoo.fetch import Fetched, Progress
from streamapp.zoo.profiles import Slot, candidates, choose, slots
from streamapp.zoo.registry import FileCondition, Registry
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task, Variant

models_app = typer.Typer(help="The weights: what there is, get them, check them.", no_args_is_help=True)

_Names = Annotated[list[str] | None, typer.Argument(help="Variants, by name; default: what screens frames.")]
_Profile = Annotated[Profile | None, typer.Option(help="All that a profile needs.")]
_Installed = Annotated[list[str] | None, typer.Argument(help="Variants, by name; default: all that are installed.")]
_Mirror = Annotated[str | None, typer.Option(help="Folder or http(s) address with the files by name, asked first.")]

_PIPE_WIDTH = 200
_YES_NO = {True: "yes", False: "no", None: "not known"}


@models_app.command("list")
def list_models() -> None:
    """Show every known variant and the state of its file."""
    registry = Registry.from_settings(load_settings())
    table = Table("variant", "task", "file", "bytes", "licence", "commercial use", "state")
    for variant in registry.manifest.variants:
        table.add_row(
            variant.name,
            variant.task,
            variant.file,
            "not known" if variant.size_bytes is None else str(variant.size_bytes),
            variant.licence or "not known",
            _YES_NO[variant.commercial_use],
            registry.inspect(variant).condition,
        )
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


@models_app.command("pull")
def pull_models(names: _Names = None, profile: _Profile = None, mirror: _Mirror = None) -> None:
    """Get the named variants, what a profile needs, or what the fast mode needs: for each the first that can be had.

    What is there and valid is left alone. Exit code 4 if something cannot be had; the rest is fetched all the same."""
    settings = load_settings()
    registry = Registry.from_settings(settings)
    wanted: list[tuple[Variant, ...]] = [(registry.manifest.named(name),) for name in names or ()]
    if profile is not None:
        wanted += [candidates(slot, registry.manifest) for slot in _slots(registry, profile)]
    wanted = wanted or [_screeners(registry, settings)]
    failures: list[DownloadFailed] = []
    for variants in wanted:
        try:
            with _download_bars() as on_progress:
                got = registry.pull(variants, mirror=mirror or settings.models.mirror, on_progress=on_progress)
        except DownloadFailed as error:
            if len(wanted) == 1:
                raise
            failures.append(error)
            typer.echo(f"{variants[0].name}: not available: {redact(str(error))}", err=True)
            continue
        if isinstance(got, Fetched):
            pinned = "" if got.variant.has_checksum else f"; pinned to sha256 {got.digest.sha256}, as none is known"
            typer.echo(f"{got.variant.name}: {got.path}, from {got.source}{pinned}; {_terms(got.variant)}")
        else:
            typer.echo(f"{got.variant.name}: {got.path} is there and valid")
    if failures:
        raise DownloadFailed(f"{len(failures)} of {len(wanted)} could not be had")


@models_app.command("verify")
def verify_models(names: _Installed = None, profile: _Profile = None) -> None:
    """Check the named variants, or all that are installed.

    Exit code 4 if one is missing or not what it should be, or if something the profile needs is not installed."""
    registry = Registry.from_settings(load_settings())
    variants = [registry.manifest.named(name) for name in names or ()]
    variants = variants or [v for task in registry.manifest.tasks for v in registry.installed(task)]
    found = [registry.inspect(variant) for variant in variants]
    for inspection in found:
        typer.echo(f"{inspection.variant.name}: {inspection.condition}: {inspection.detail}")
    lacking = [] if names else _lacking(registry, profile)
    for task, wanted in lacking:
        command = "streamapp models pull" + (f" --profile {profile}" if profile else "")
        typer.echo(f"{task}: {wanted} is not installed; run `{command}`")
    if lacking or any(inspection.condition is not FileCondition.VALID for inspection in found):
        raise typer.Exit(ExitCode.MODEL_INVALID)


def _terms(variant: Variant) -> str:
    """Under which licence the weights are."""
    return f"licence: {variant.licence or 'not known'}; commercial use: {_YES_NO[variant.commercial_use]}"


def _screeners(registry: Registry, settings: Settings) -> tuple[Variant, ...]:
    """What would do for screening: the configured variant, else any."""
    if settings.models.screener is not None:
        return (registry.manifest.named(settings.models.screener, Task.SCREEN),)
    return registry.manifest.for_task(Task.SCREEN)


def _slots(registry: Registry, profile: Profile) -> list[Slot]:
    """The places of a profile that must not stay empty."""
    chosen = slots(profile, registry.manifest, Device.CPU, registry.is_installed)
    return [slot for slot in chosen if not slot.optional]


def _lacking(registry: Registry, profile: Profile | None) -> list[tuple[Task, str]]:
    """Tasks of the profile, by default screening alone, for which nothing is installed, and what should be."""
    if profile is None:
        return [] if registry.installed(Task.SCREEN) else [(Task.SCREEN, "what screens frames")]
    chosen = choose(profile, registry.manifest, Device.CPU, registry.is_installed)
    return [(choice.slot.task, missing) for choice in chosen if (missing := choice.missing)]


class _Bars:
    """One progress bar for each place a file is tried from."""

    def __init__(self, bars: ProgressBars) -> None:
        self._bars = bars
        self._known: dict[tuple[str, str], TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        key = (progress.variant, progress.source)
        if key not in self._known:
            self._known[key] = self._bars.add_task(f"{progress.variant} from {progress.source}")
        self._bars.update(self._known[key], completed=progress.received_bytes, total=progress.total_bytes)


@contextmanager
def _download_bars() -> Iterator[_Bars]:
    """Progress on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with ProgressBars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Bars(bars)
