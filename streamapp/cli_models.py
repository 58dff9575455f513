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

from streamapp.errors import ExitCode
from streamapp.settings import Settings, load_settings
from streamapp.zoo.fetch import Fetched, Progress
from streamapp.zoo.registry import FileCondition, Registry
from streamapp.zoo.spec import Task, Variant

models_app = typer.Typer(help="The weights: what there is, get them, check them.", no_args_is_help=True)

_Names = Annotated[list[str] | None, typer.Argument(help="Variants, by name; default: one for each task.")]
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
def pull_models(names: _Names = None, mirror: _Mirror = None) -> None:
    """Get the named variants, or for each task the first that can be had.

    What is there and valid is left alone. Exit code 4 if something cannot be had."""
    settings = load_settings()
    registry = Registry.from_settings(settings)
    wanted: list[tuple[Variant, ...]] = [(registry.manifest.named(name),) for name in names or ()]
    wanted = wanted or [_candidates(registry, settings, task) for task in registry.manifest.tasks]
    for candidates in wanted:
        with _download_bars() as on_progress:
            got = registry.pull(candidates, mirror=mirror or settings.models.mirror, on_progress=on_progress)
        if isinstance(got, Fetched):
            pinned = "" if got.variant.has_checksum else f"; pinned to sha256 {got.digest.sha256}, as none is known"
            typer.echo(f"{got.variant.name}: {got.path}, from {got.source}{pinned}")
        else:
            typer.echo(f"{got.variant.name}: {got.path} is there and valid")


@models_app.command("verify")
def verify_models(names: _Installed = None) -> None:
    """Check the named variants, or all that are installed.

    Exit code 4 if one is missing or not what it should be, or if a task has none."""
    registry = Registry.from_settings(load_settings())
    variants = [registry.manifest.named(name) for name in names or ()]
    variants = variants or [v for task in registry.manifest.tasks for v in registry.installed(task)]
    found = [registry.inspect(variant) for variant in variants]
    for inspection in found:
        typer.echo(f"{inspection.variant.name}: {inspection.condition}: {inspection.detail}")
    lacking = [] if names else [task for task in registry.manifest.tasks if not registry.installed(task)]
    for task in lacking:
        typer.echo(f"{task}: no variant is installed; run `streamapp models pull`")
    if lacking or any(inspection.condition is not FileCondition.VALID for inspection in found):
        raise typer.Exit(ExitCode.MODEL_INVALID)


def _candidates(registry: Registry, settings: Settings, task: Task) -> tuple[Variant, ...]:
    """What would do for a task: the configured variant, else any."""
    if task is Task.SCREEN and settings.models.screener is not None:
        return (registry.manifest.named(settings.models.screener, task),)
    return registry.manifest.for_task(task)


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
