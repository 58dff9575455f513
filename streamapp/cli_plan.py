"""`streamapp plan`: what fits in how much memory, before anything is loaded."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from streamapp.choices import DeviceChoice, Profile
from streamapp.errors import OverBudget
from streamapp.planning import SEPARATE_SERVICES_MB, THEIR_CARD_MB, PlanReport, plan_of, report_of
from streamapp.scheduler.plan import Fate, Plan
from streamapp.settings import load_settings

plan_app = typer.Typer(help="What fits in how much memory, before anything is loaded.")

_Budget = Annotated[
    int | None, typer.Option(min=1, help="Memory for the models, in MB of a million bytes; default: the settings'.")
]
_MB = 1_000_000
_PIPE_WIDTH = 160


@plan_app.callback(invoke_without_command=True)
def plan(
    budget_mb: _Budget = None,
    profile: Annotated[Profile | None, typer.Option(help="Which variants; default: the settings'.")] = None,
    device: Annotated[DeviceChoice | None, typer.Option(help="Where they run; default: the settings'.")] = None,
    live: Annotated[str | None, typer.Option(help="Show what the server at this http:// address has, instead.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what of a profile stays in memory, what swaps and what cannot run. Exit code 5 if a task of the profile has
    no model that fits. With --live: what a running server has loaded, what waits, and what became of its jobs."""
    settings = load_settings()
    if live is not None:
        _show_live(live, json)
        return
    found = plan_of(settings, budget_mb=budget_mb, profile=profile, device=device)
    if json:
        typer.echo(TypeAdapter(PlanReport).dump_json(report_of(found), indent=1).decode())
    else:
        console = Console(highlight=False)
        _print(found, console if console.is_terminal else Console(width=_PIPE_WIDTH, highlight=False))
    if found.lacks is not None:
        raise OverBudget(found.lacks)


def _show_live(address: str, as_json: bool) -> None:
    from streamapp.cli_live import fetch_status, print_live  # what the server is made of takes a second to load

    status = fetch_status(address)
    if as_json:
        typer.echo(status.model_dump_json(indent=1))
    else:
        console = Console(highlight=False)
        print_live(status, console if console.is_terminal else Console(width=_PIPE_WIDTH, highlight=False))


def _print(found: Plan, console: Console) -> None:
    where = f"on {found.device} in {_mb(found.budget_bytes)} MB"
    title = f"Profile {found.profile} {where}, batches up to {found.largest_batch}"
    table = Table(
        "variant",
        "task",
        "MB",
        "to load",
        "number is",
        "fate",
        "licence of the weights",
        title=title,
        title_justify="left",
    )
    for column in (2, 3):
        table.columns[column].justify = "right"
    colours = {Fate.RESIDENT: "green", Fate.SWAPS: "yellow", Fate.CANNOT_RUN: "red"}
    for p in found.placements:
        fate = f"[{colours[p.fate]}]{p.fate}[/]"
        table.add_row(
            p.variant,
            p.task,
            _mb(p.resident_bytes),
            f"+{_mb(p.loading_bytes)}",
            p.source,
            fate,
            p.licence or "not known",
        )
    console.print(table)
    console.print(
        f"One process takes {_mb(found.needed_bytes)} MB: context {_mb(found.context_bytes)}, resident "
        f"{_mb(found.resident_bytes)}, room to load and swap {_mb(found.swap_bytes)}, reserve "
        f"{_mb(found.reserve_bytes)}."
    )
    console.print(f"All of it would stay resident in {_mb(found.everything_bytes)} MB.")
    console.print(
        f"Seven services with a limit each add up to {SEPARATE_SERVICES_MB} of {THEIR_CARD_MB} MB, and each has a "
        "context of its own (300 to 500 MB on a GPU)."
    )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / _MB:.0f}"
