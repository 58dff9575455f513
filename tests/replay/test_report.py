"""Differences as people and machines read them."""

from __future__ import annotations

import io
import json

from rich.console import Console

from streamapp.replay.differences import Difference
from streamapp.replay.report import Report, print_report


def report(*found: Difference, warnings: tuple[str, ...] = ()) -> Report:
    return Report("clip.mp4", "golden.jsonl", 30, False, warnings, found)


def printed(one: Report, limit: int = 10) -> str:
    out = io.StringIO()
    print_report(one, Console(file=out, width=120), limit=limit)
    return out.getvalue()


def test_the_table_says_where_what_was_and_is() -> None:
    text = printed(report(Difference(12, 3, "liveness.state", "live", "spoof")))
    (row,) = [line for line in text.splitlines() if "spoof" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == ["12", "3", "liveness.state", "live", "spoof"]


def test_only_the_first_are_shown_but_all_are_counted() -> None:
    found = [Difference(frame, 1, "box", (0.0, float(frame)), (9.0, 9.0)) for frame in range(5, 55)]
    text = printed(report(*found, Difference(90, None, "keyframe", None, "there")), limit=3)
    assert sum("[0.0, " in line for line in text.splitlines()) == 3
    assert "and 48 more" in text
    assert "51 differences in 51 frames" in text
    totals = [line.strip("│ ").split("│") for line in text.splitlines() if line.startswith("│ box") and "[" not in line]
    assert [[cell.strip() for cell in line] for line in totals] == [["box", "50", "5"]]


def test_what_is_not_as_it_was_is_said_before_anything_else() -> None:
    lines = printed(report(warnings=("net has other weights",))).splitlines()
    assert lines[1:] == ["not as it was: net has other weights", "No decision differs."]


def test_a_name_cannot_write_on_the_terminal_nor_is_it_markup() -> None:
    text = printed(report(Difference(1, 1, "identity.name", "[red]x\x1b[2J\n", "y" * 500)))
    assert "\x1b" not in text
    assert "[red]x" in text
    assert "y" * 61 not in text


def test_machines_get_all_of_it() -> None:
    told = json.loads(report(Difference(1, None, "answers", (), ("a",)), warnings=("w",)).to_json())
    assert told["same"] is False
    assert told["fields"] == {"answers": 1}
    assert told["differences"] == [{"frame": 1, "track": None, "field": "answers", "was": [], "now": ["a"]}]
    assert json.loads(report().to_json())["same"] is True
