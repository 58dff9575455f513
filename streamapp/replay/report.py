"""What a replay found, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamapp.log import one_line
from streamapp.replay.differences import TOLERANCES, Difference, Value, differences
from streamapp.replay.golden import Record
from streamapp.replay.run import Replayed

MAX_VALUE = 60
"""Characters of a value that are shown in the table; `--json` has all."""


@dataclass(frozen=True, slots=True)
class Report:
    clip: str
    against: str
    frames: int
    as_scheduled: bool
    """Whether the session's own schedule was followed; else the policy decided."""
    warnings: tuple[str, ...]
    """What is not as it was when the other results were made."""
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, clip: str, record: Record, replayed: Replayed, tolerances: Mapping[str, float] = TOLERANCES) -> Report:
        """Compares. Takes a while for long recordings."""
        warnings = list(record.conditions.changes(replayed.conditions)) if record.conditions is not None else []
        if record.results[0].frame and record.is_live:
            warnings.append(
                f"the record begins at frame {record.results[0].frame}: what was known of the faces is not in it"
            )
        if replayed.unanswered:
            warnings.append(f"the machine was busy: {replayed.unanswered} questions to models got no answer")
        found = differences(record.results, replayed.results, tolerances)
        return cls(clip, record.name, len(record.results), record.is_live, tuple(warnings), tuple(found))

    @property
    def by_field(self) -> dict[str, int]:
        """How many there are of each field, the most first."""
        return dict(Counter(one.field for one in self.differences).most_common())

    def to_json(self) -> str:
        told = asdict(self) | {"same": not self.differences, "fields": self.by_field}
        return json.dumps(told, ensure_ascii=False)


def print_report(report: Report, console: Console, *, limit: int) -> None:
    """At most `limit` differences one by one, then how many there are of each field."""
    way = "the session as it went" if report.as_scheduled else "decided anew"
    console.print(
        f"{report.clip} against {report.against}: {report.frames} frames, {way}", markup=False, soft_wrap=True
    )
    for warning in report.warnings:
        console.print(f"not as it was: {warning}", markup=False, soft_wrap=True)
    if not report.differences:
        console.print("No decision differs.")
        return
    table = Table("frame", "track", "field", "was", "is")
    for found in report.differences[:limit]:
        track = "" if found.track is None else str(found.track)
        values = (Text(shown(value)) for value in (found.was, found.now))
        table.add_row(str(found.frame), track, Text(found.field), *values)
    console.print(table)
    if len(report.differences) > limit:
        console.print(f"and {len(report.differences) - limit} more (--limit, or --json for all)")
    frames = len({found.frame for found in report.differences})
    console.print(f"{len(report.differences)} differences in {frames} frames; by field, with the first frame:")
    totals = Table("field", "differences", "first")
    for field, count in report.by_field.items():
        first = next(found.frame for found in report.differences if found.field == field)
        totals.add_row(Text(field), str(count), str(first))
    console.print(totals)


def shown(value: Value) -> str:
    """On one line, cut to MAX_VALUE."""
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
