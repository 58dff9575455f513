"""How measurements are printed."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from rich.console import Console
from rich.table import Table

from streamapp.evaluation.statistics import SMALL_SAMPLE, Estimate
from streamapp.zoo.manifest import load_manifest

_PIPE_WIDTH = 160


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """A table on standard output with notes below it, and the licences of the weights it names; empty notes are left
    out."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=_PIPE_WIDTH, highlight=False)
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)
    for note in filter(None, [*notes, _licences(rows)]):
        console.print(note, markup=False)


def _licences(rows: Sequence[Sequence[str]]) -> str:
    manifest = load_manifest()
    words = {word for row in rows for cell in row for word in cell.split()}
    named = [variant.name for variant in manifest.variants if variant.name in words]
    return "Weights: " + "; ".join(f"{name}: {manifest.licence_of(name)}" for name in named) if named else ""


def percent(share: Estimate) -> str:
    """In percent, with its interval where there is one."""
    if isnan(share.value):
        return "-"
    return f"{share.value:.1%}" + ("" if isnan(share.low) else f" [{share.low:.1%}, {share.high:.1%}]")


def small_sample(count: int, what: str) -> str:
    """What to say below a table that rests on `count` cases; nothing for 1000 or more."""
    return f"A small sample: {count} {what}. Mind the intervals." if count < SMALL_SAMPLE else ""


def without_face(names: Sequence[str]) -> str:
    return f"No face was found in: {', '.join(names)}" if names else ""
