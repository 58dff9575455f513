"""A live stream and picture requests with full-size models under budgets of host memory too small for all of them.

Profile full, its graphs filled with noise (benchmarks/noise_models.py), a fresh process per budget
(benchmarks/budget_run.py): the stream alone in mode fast, then in mode full beside clients that send pictures.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from benchmarks.budget_run import BudgetRun
from benchmarks.media import shared_dir
from benchmarks.noise_models import build, missing_graphs
from benchmarks.report import Figure, Options, Table, parser, progress, publish

BUDGETS_MB = (3000, 1500, 800, 400)
FPS_GOAL, RSS_GOAL = 0.95, 1.05
FREE_BYTES = 6_000_000_000
RUN_LIMIT_S = 300.0


def main() -> None:
    arguments = parser("benchmarks.budgets", __doc__.splitlines()[0]).parse_args()
    missing = missing_graphs(shared_dir())
    if missing:
        raise SystemExit(f"not there: {', '.join(missing)}; set STREAMAPP_TEST_SHARED")
    if psutil.virtual_memory().available < FREE_BYTES:
        raise SystemExit(f"{FREE_BYTES / 1e9:g} GB of free memory are needed")
    seconds = {"alone": 4.0, "full": 10.0} if arguments.quick else {"alone": 10.0, "full": 45.0}
    with tempfile.TemporaryDirectory(prefix="streamapp-budgets-") as folder:
        progress("filling the graphs with noise")
        shared = shared_dir()
        assert shared is not None
        build(shared, Path(folder))
        runs = []
        for budget_mb in BUDGETS_MB:
            progress(f"{budget_mb} MB, {sum(seconds.values()):g} s")
            runs.append(run(Path(folder), budget_mb, alone_s=seconds["alone"], seconds=seconds["full"]))
    tables, figures = report(runs)
    publish("budgets", Options.of(arguments), figures, tables)


def run(models: Path, budget_mb: int, *, alone_s: float, seconds: float, width: int = 1280) -> BudgetRun:
    """In a process of its own. Raises subprocess.SubprocessError if it fails or takes too long."""
    command = [sys.executable, "-m", "benchmarks.budget_run", str(models), str(budget_mb)]
    command += ["--alone-s", str(alone_s), "--seconds", str(seconds), "--width", str(width)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=RUN_LIMIT_S)
    return BudgetRun.model_validate_json(ended.stdout.splitlines()[-1])


def report(runs: list[BudgetRun]) -> tuple[list[Table], list[Figure]]:
    figures: list[Figure] = []
    for found in runs:
        name, lost = f"{found.budget_mb} MB", found.submitted - sum(found.outcomes.values())
        unanswered = found.requests - sum(found.answers.values())
        ratio, share = found.full.fps / found.alone.fps, found.rss_over_mb / found.budget_mb
        figures += [
            Figure(f"{name}: fps over mode fast alone", ratio, "x", f">= {FPS_GOAL}", ratio >= FPS_GOAL),
            Figure(f"{name}: resident over the budget", share, "x", f"<= {RSS_GOAL}", share <= RSS_GOAL),
            Figure(f"{name}: jobs and requests without an end", lost + unanswered, "", "0", lost + unanswered == 0),
        ]
    frames = Table(
        "Live 720p30 under a budget",
        (
            "budget MB",
            "fps, fast alone",
            "fps, full and pictures",
            "frame path p95 ms, alone",
            "full",
            "longest gap s, alone",
            "full",
            "stale frames",
            "analysed tracks",
        ),
        tuple(
            (
                found.budget_mb,
                found.alone.fps,
                found.full.fps,
                found.alone.frame_path_p95_ms,
                found.full.frame_path_p95_ms,
                found.alone.longest_gap_s,
                found.full.longest_gap_s,
                found.full.stale,
                found.analysed_tracks,
            )
            for found in runs
        ),
    )
    memory = Table(
        "Memory",
        ("budget MB", "resident over start MB", "books over budget MB", "loads", "failed", "evictions", "degraded"),
        tuple(
            (
                found.budget_mb,
                found.rss_over_mb,
                found.books_over_mb,
                found.loads,
                found.load_failures,
                listed(found.evictions),
                "; ".join(found.degraded) or "none",
            )
            for found in runs
        ),
        ("resident: highest of the whole process, looked at every 10 ms, over that before the app was started.",),
    )
    ends = Table(
        "How everything ended",
        ("budget MB", "jobs", "ended as", "pictures", "answered", "left out of pictures"),
        tuple(
            (
                found.budget_mb,
                found.submitted,
                listed(found.outcomes),
                found.requests,
                listed(found.answers),
                listed(found.skipped),
            )
            for found in runs
        ),
        ("closed: under way when the app was closed, at the end of the run.",),
    )
    return [frames, memory, ends], figures


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    main()
