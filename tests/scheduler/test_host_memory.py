"""Full-size models, really loaded and evicted in this machine's memory, under budgets too small for all of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.report import Figure, Report
from tests.shared_data import shared_folder

pytestmark = [pytest.mark.weights, pytest.mark.timeout(300)]
PEAK, GROWTH, FAILED = "highest memory over baseline", "growth with all unloaded", "failed loads"


@pytest.fixture(scope="module")
def graphs() -> Iterator[Path]:
    """Where the filled graphs are kept from test to test: 1.3 GB, not for longer."""
    pytest.importorskip("onnx")
    shared_folder("graphs")
    with tempfile.TemporaryDirectory(prefix="streamapp-graphs-") as folder:
        yield Path(folder)


def soaked(graphs: Path, budget_mb: int, *options: str) -> tuple[int, Mapping[str, Figure], Mapping[str, int]]:
    """Exit code, figures and outcomes of a short soak in a process of its own."""
    report = graphs / "soak.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.soak", "--quick", "--budget-mb", str(budget_mb), *options]
    command += ["--folder", str(graphs), "--json", str(report)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280)
    found = Report.from_json(report.read_text()) if report.is_file() else pytest.fail(run.stderr[-2000:])
    outcomes = {str(outcome): count for outcome, count in found.tables[0].rows if isinstance(count, int)}
    return run.returncode, {figure.name: figure for figure in found.figures}, outcomes


@pytest.mark.parametrize("budget_mb", [3000, 1500, 800, 400])
def test_resident_memory_stays_within_the_budget_and_every_request_ends(graphs: Path, budget_mb: int) -> None:
    _, figures, outcomes = soaked(graphs, budget_mb, "--rounds", "2")
    assert figures[PEAK].met, figures[PEAK]
    assert figures[FAILED].value == 0
    assert outcomes["done"] > 0
    assert set(outcomes) <= {"done", "refused: never fits", "refused: no room in time"}


def test_models_that_leave_something_behind_are_caught(graphs: Path) -> None:
    code, figures, _ = soaked(graphs, 1500, "--leak")
    assert figures[GROWTH].met is False
    assert code == 1
