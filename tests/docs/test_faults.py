"""The page of faults names tests that there are, or says why there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "faults.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def rows() -> list[list[str]]:
    """The cells of every row that is neither a head nor a rule."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "fault" and not row[0].startswith("--")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_every_fault_has_a_test_or_says_why_not(row: list[str]) -> None:
    assert len(row) == 3, row
    fault, what_happens, test = row
    assert fault
    assert what_happens
    named = NAMED.findall(test)
    assert named or "no test: " in test
    for file, function in named:
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert function in functions(path), f"{file}::{function}"
