"""What the WebRTC sessions of one run amount to: medians, pairs, and the figures held against their goals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.browser import Visit
from benchmarks.glass import Latencies, display_latencies, message_latencies
from benchmarks.media import Size
from benchmarks.report import Cell, Figure, Table

AHEAD_MS = 25.0
RESULT_MS = 6.0
CPU_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry's figures in one pair."""

    display: Latencies
    messages: Latencies
    beyond_detector: Latencies
    server_ms: float
    """Median, from a picture's last packet to its result leaving the pump, less the detector's own time, plus half a
    round trip to the browser."""
    detector_ms: float
    cpu_percent: float
    visit: Visit

    @property
    def fps(self) -> float:
        """Pictures or results that came back, per second."""
        return max(self.display.total, self.messages.total) / self.visit.seconds

    @classmethod
    def of(cls, seen: Visit) -> Outcome:
        server = [m.server_ms - m.detector_ms for m in seen.messages if m.server_ms is not None]
        return cls(
            display_latencies(seen.camera, seen.shown),
            message_latencies(seen.camera, seen.messages),
            message_latencies(seen.camera, seen.messages, without_detector=True),
            _median(server) + seen.round_trip_ms / 2,
            _median([m.detector_ms for m in seen.messages]),
            seen.server_cpu_percent,
            seen,
        )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def summary_table(
    outcomes: Mapping[str, Sequence[Outcome | None]], idle: Mapping[str, float], size: Size, seconds: float
) -> Table:
    columns = (
        "server",
        "runs",
        "display p50 ms",
        "p95",
        "counted %",
        "result p50 ms",
        "p95",
        "beyond detector p50",
        "from last packet, beyond detector",
        "detector ms",
        "counted %",
        "jitter buffer ms",
        "CPU %",
        "idle CPU %",
        "fps",
        "CPU ms a picture",
    )
    rows: list[tuple[Cell, ...]] = []
    for name, all_runs in outcomes.items():
        runs = [run for run in all_runs if run is not None]
        if not runs:
            rows.append((name, 0, *[None] * (len(columns) - 2)))
            continue
        buffers = [run.visit.jitter_buffer_ms for run in runs if run.visit.jitter_buffer_ms is not None]
        rate = _median([run.fps for run in runs])
        rows.append(
            (
                name,
                len(runs),
                _median([run.display.percentile(50) for run in runs]),
                _median([run.display.percentile(95) for run in runs]),
                100 * _median([run.display.kept for run in runs]) if runs[0].display.total else None,
                _median([run.messages.percentile(50) for run in runs]),
                _median([run.messages.percentile(95) for run in runs]),
                _median([run.beyond_detector.percentile(50) for run in runs]),
                _median([run.server_ms for run in runs]),
                _median([run.detector_ms for run in runs]),
                100 * _median([run.messages.kept for run in runs]) if runs[0].messages.total else None,
                _median(buffers) if buffers else None,
                _median([run.cpu_percent for run in runs]),
                idle[name.split(",")[0]],
                rate,
                _median([10 * run.cpu_percent / run.fps for run in runs if run.fps]),
            )
        )
    notes = (
        "Medians over runs. display: camera capture time to the expected display of the returned picture. result: "
        "capture time to arrival on the data channel; beyond detector: less the detector's own time. from last packet: "
        "to the result leaving the pump, by the server's clock, plus half a round trip.",
        "CPU: of the server's processes, % of a core; and per picture, since not every server gets them all. aiortc "
        "has no model: what the plumbing alone does.",
    )
    return Table(f"{size}@30 VP8, {seconds:.0f} s a run", columns, tuple(rows), notes)


def step_tables(outcomes: Mapping[str, Sequence[Outcome | None]]) -> list[Table]:
    """Where the servers that say so spend a picture's time."""
    rows: dict[str, list[dict[str, float]]] = {}
    for name, runs in outcomes.items():
        for run in runs:
            steps = list(run.visit.messages[0].steps_ms) if run and run.visit.messages else []
            if run and steps:
                medians = {step: _median([m.steps_ms.get(step, 0.0) for m in run.visit.messages]) for step in steps}
                rows.setdefault(name, []).append(medians)
    if not rows:
        return []
    steps = list(next(iter(rows.values()))[0])
    cells: list[tuple[Cell, ...]] = []
    for name, each_run in rows.items():
        cells.append((name, *(_median([run.get(step, 0.0) for run in each_run]) for step in steps)))
    columns = ("server", *(f"{step} ms" for step in steps))
    return [Table("Steps by the server's own clock", columns, tuple(cells))]


def pair_tables(outcomes: Mapping[str, Sequence[Outcome | None]]) -> list[Table]:
    pairs = _pairs(outcomes)
    rows: list[tuple[Cell, ...]] = []
    for number, (own, theirs, data) in enumerate(pairs, 1):
        rows.append(
            (
                number,
                *(run.display.percentile(percent) for percent in (50, 95) for run in (own, theirs)),
                *(theirs.display.percentile(percent) - own.display.percentile(percent) for percent in (50, 95)),
                own.cpu_percent / theirs.cpu_percent,
                data.cpu_percent / theirs.cpu_percent,
            )
        )
    columns = (
        *("pair", "own p50", "FastRTC p50", "own p95", "FastRTC p95", "ahead p50 ms", "ahead p95 ms"),
        *("CPU, video / FastRTC", "CPU, data channel / FastRTC"),
    )
    return [Table("Pairs against FastRTC's flip example", columns, tuple(rows))] if rows else []


def _pairs(outcomes: Mapping[str, Sequence[Outcome | None]]) -> list[tuple[Outcome, Outcome, Outcome]]:
    """Ours with video, FastRTC's, ours with data channel only: of the same round."""
    names = ("streamapp, returned video", "FastRTC, returned video", "streamapp, data channel only")
    rounds = zip(*(outcomes.get(name, ()) for name in names), strict=False)
    return [(a, b, c) for a, b, c in rounds if a is not None and b is not None and c is not None]


def figures(outcomes: Mapping[str, Sequence[Outcome | None]]) -> list[Figure]:
    found = []
    pairs = _pairs(outcomes)
    if pairs:
        for percent in (50, 95):
            ahead = _median([b.display.percentile(percent) - a.display.percentile(percent) for a, b, _ in pairs])
            goal = f">= {AHEAD_MS:.0f}"
            found.append(Figure(f"ahead of FastRTC at p{percent}, median pair", ahead, "ms", goal, ahead >= AHEAD_MS))
        share = _median([c.cpu_percent / b.cpu_percent for _, b, c in pairs])
        found.append(Figure("CPU, data channel only, over FastRTC", share, "x", "<= 0.33", share <= CPU_SHARE))
        share = _median([a.cpu_percent / b.cpu_percent for a, b, _ in pairs])
        found.append(Figure("CPU, returned video, over FastRTC", share, "x"))
    data = [run for run in outcomes.get("streamapp, data channel only", ()) if run is not None]
    if data:
        beyond = _median([run.beyond_detector.percentile(50) for run in data])
        name = "result after capture, beyond the detector, p50"
        found.append(Figure(name, beyond, "ms", f"<= {RESULT_MS:.0f}", beyond <= RESULT_MS))
        beyond = _median([run.server_ms for run in data])
        name = "result after the last packet, beyond the detector, p50"
        found.append(Figure(name, beyond, "ms", f"<= {RESULT_MS:.0f}", beyond <= RESULT_MS))
    bare = [run for run in outcomes.get("aiortc, data channel only", ()) if run is not None]
    if data and bare:
        ahead = _median([run.messages.percentile(50) for run in bare]) - _median(
            [run.messages.percentile(50) for run in data]
        )
        found.append(Figure("result, detector included, ahead of bare aiortc without one, p50", ahead, "ms"))
    return found
