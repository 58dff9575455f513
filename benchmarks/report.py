"""What a benchmark says: tables on standard output, progress on standard error, and a JSON file to quote from."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.machine import Machine, describe_machine

RESULTS = Path(__file__).parent / "results"

Cell = str | float | int | None
"""None is shown as a dash: not measured."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows of one cell per column. `notes` are printed below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The table in Markdown, padded so that it also reads as plain text."""
        body = [[shown(cell) for cell in row] for row in self.rows]
        widths = [max(len(line[i]) for line in [list(self.columns), *body]) for i in range(len(self.columns))]
        numeric = [all(not isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        lines = [f"### {self.title}", "", _line(self.columns, widths, numeric)]
        dashes = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
        lines.append("| " + " | ".join(dashes) + " |")
        lines += [_line(row, widths, numeric) for row in body]
        return "\n".join([*lines, *(["", *self.notes] if self.notes else [])])


@dataclass(frozen=True, slots=True)
class Figure:
    """One headline number and the goal it is held against. `met` is None where there is no goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one benchmark found."""

    benchmark: str
    command: str
    date: str
    """UTC, ISO 8601."""
    quick: bool
    machine: Machine
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]

    def text(self) -> str:
        """All of it in Markdown."""
        head = f"## {self.benchmark}\n\n`{self.command}`, {self.date[:10]}, {self.machine.summary()}"
        tables = [*self.tables, *([figure_table(self.figures)] if self.figures else [])]
        return "\n\n".join([head, *(table.text() for table in tables)])

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Parses what `publish` wrote. Raises pydantic.ValidationError."""
        return _ADAPTER.validate_json(text)


_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark takes on its command line."""

    quick: bool
    json: Path | None
    partial: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace, *, partial: bool = False) -> Options:
        """`partial`: it measures less than it should, so that its results are written nowhere unless asked to."""
        return cls(arguments.quick, arguments.json, partial)


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """An argument parser with the options that every benchmark has."""
    options = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    options.add_argument("--quick", action="store_true", help="a short run: shows that it works, proves nothing")
    options.add_argument(
        "--json",
        type=Path,
        help="where to write the results (default: results/NAME.json; quick and partial runs: nowhere)",
    )
    return options


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def publish(name: str, options: Options, figures: Sequence[Figure], tables: Sequence[Table]) -> None:
    """Prints the tables and the figures against their goals, and writes the JSON file."""
    arguments = [*sys.argv[1:]]
    if "--json" in arguments:  # where a file was written to is nobody's business later
        at = arguments.index("--json")
        del arguments[at : at + 2]
    command = f"python -m benchmarks.{Path(sys.argv[0]).stem} {' '.join(arguments)}".strip()
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    report = Report(name, command, date, options.quick, describe_machine(), tuple(figures), tuple(tables))
    print(report.text() + "\n", flush=True)
    path = options.json or (None if options.quick or options.partial else RESULTS / f"{name}.json")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_ADAPTER.dump_json(report, indent=1) + b"\n")
        progress(f"written to {path}")


def figure_table(figures: Sequence[Figure]) -> Table:
    rows = tuple(
        (figure.name, figure.value, figure.unit, figure.goal, "" if figure.met is None else _verdict(figure.met))
        for figure in figures
    )
    return Table("Figures", ("figure", "value", "unit", "goal", "met"), rows)


def shown(cell: Cell) -> str:
    """A cell as text: three significant digits for fractions, a dash for what was not measured."""
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return str(cell)
    if cell != cell:
        return "-"
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"


def _verdict(met: bool) -> str:
    return "yes" if met else "NO"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right, strict=True))
    return "| " + " | ".join(padded) + " |"
