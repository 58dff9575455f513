"""Full-size models under budgets of host memory that are too small for them: frames go on, every request ends, the
process stays within its budget. Each budget has a process of its own, so that its resident size is its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from benchmarks.budget_run import BudgetRun
from benchmarks.budgets import BUDGETS_MB, FREE_BYTES, RSS_GOAL, run
from benchmarks.noise_models import build, missing_graphs
from tests.shared_data import shared_dir
from tests.weights import SHORT_RANGE, weights_of

pytestmark = [pytest.mark.weights, pytest.mark.media, pytest.mark.e2e, pytest.mark.timeout(240)]

ALONE_S, FULL_S = 0.5, 5.0
LONGEST_GAP_S = 2.0
"""A stream that waited for a model to load would stand still for longer."""


@pytest.fixture(scope="module")
def full_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything of profile full, with noise for weights."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    shared = shared_dir()
    missing = missing_graphs(shared)
    if missing or shared is None:
        pytest.skip(f"test data {', '.join(missing)} is absent (set STREAMAPP_TEST_SHARED)")
    if psutil.virtual_memory().available < FREE_BYTES:
        pytest.skip(f"less than {FREE_BYTES / 1e9:g} GB of memory are free")
    weights_of(*SHORT_RANGE)
    folder = tmp_path_factory.mktemp("full")
    build(shared, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def runs(full_models: Path) -> Iterator[dict[int, Future[BudgetRun]]]:
    """One process per budget, two at a time: most of their time they wait."""

    def start(budget_mb: int) -> BudgetRun:
        return run(full_models, budget_mb, alone_s=ALONE_S, seconds=FULL_S, width=640)

    with ThreadPoolExecutor(2) as pool:
        yield {budget_mb: pool.submit(start, budget_mb) for budget_mb in BUDGETS_MB}


@pytest.fixture(scope="module", params=BUDGETS_MB, ids=lambda budget_mb: f"{budget_mb}MB")
def under_budget(request: pytest.FixtureRequest, runs: dict[int, Future[BudgetRun]]) -> BudgetRun:
    """What a process found that ended by itself, with exit code 0, after it was closed amid requests."""
    return runs[request.param].result()


def test_frames_go_on_while_models_come_and_go(under_budget: BudgetRun) -> None:
    assert under_budget.stream_error is None
    assert under_budget.loads > 0
    assert under_budget.full.fps > 0
    assert under_budget.full.longest_gap_s < LONGEST_GAP_S


def test_every_job_and_every_request_ends_with_a_reason(under_budget: BudgetRun) -> None:
    assert under_budget.submitted > 0
    assert sum(under_budget.outcomes.values()) == under_budget.submitted
    assert sum(under_budget.answers.values()) == under_budget.requests > 0
    assert not [outcome for outcome in under_budget.outcomes if outcome.startswith("failed")], under_budget.outcomes


def test_the_process_stays_within_its_budget(under_budget: BudgetRun) -> None:
    assert under_budget.rss_over_mb <= RSS_GOAL * under_budget.budget_mb
