"""WebRTC against FastRTC and bare aiortc: latency from camera to display, results on the data channel, server CPU.

One browser, one client page, one numbered camera for all; the servers take turns, so that what disturbs the machine
disturbs them all. The median pair counts.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser
from playwright.sync_api import Error as BrowserError

from benchmarks.browser import Visit, camera_browser, visit
from benchmarks.camera import write_camera
from benchmarks.contestants import Contestant, contestants, serving
from benchmarks.detectors import measured_settings
from benchmarks.glass import Latencies, display_latencies, message_latencies
from benchmarks.isolation import enter
from benchmarks.machine import sample_cpu
from benchmarks.media import HD, VGA, Size
from benchmarks.peer_env import fastrtc_python
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish

PAIRS, SECONDS = 5, 8.0
QUICK_PAIRS, QUICK_SECONDS = 2, 4.0
AHEAD_MS = 25.0
RESULT_MS = 6.0
CPU_SHARE = 1 / 3
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant in one way of use."""

    contestant: Contestant
    receive_video: bool

    @property
    def name(self) -> str:
        return f"{self.contestant.name}, {'returned video' if self.receive_video else 'data channel only'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry's figures in one pair."""

    display: Latencies
    messages: Latencies
    beyond_detector: Latencies
    server_ms: float
    """Median, from a picture's last packet to its result leaving the pump, less the detector's own time."""
    detector_ms: float
    cpu_percent: float
    visit: Visit

    @classmethod
    def of(cls, seen: Visit) -> Outcome:
        server = [m.server_ms - m.detector_ms for m in seen.messages if m.server_ms is not None]
        return cls(
            display_latencies(seen.camera, seen.shown),
            message_latencies(seen.camera, seen.messages),
            message_latencies(seen.camera, seen.messages, without_detector=True),
            _median(server),
            _median([m.detector_ms for m in seen.messages]),
            seen.server_cpu_percent,
            seen,
        )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def run_webrtc(options: Options, size: Size, pairs: int, seconds: float, address: str, only: Sequence[str]) -> None:
    settings = measured_settings()
    field = {name: one for name, one in contestants(settings, fastrtc_python()).items() if not only or name in only}
    entries = [Entry(contestant, True) for contestant in field.values()]
    entries += [Entry(contestant, False) for contestant in field.values() if contestant.sends_results]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-camera-")))
        progress(f"writing a numbered camera, {size}")
        camera = write_camera(folder / "camera.y4m", size)
        servers = {}
        for contestant in field.values():
            progress(f"starting {contestant.name}")
            servers[contestant.name] = stack.enter_context(serving(contestant))
        browser = stack.enter_context(camera_browser(camera, address))
        idle = measure_idle(servers, browser)
        outcomes: dict[str, list[Outcome | None]] = {entry.name: [] for entry in entries}
        for pair in range(pairs):
            for entry in entries if pair % 2 == 0 else reversed(entries):
                outcomes[entry.name].append(measure(browser, entry, servers[entry.contestant.name], size, seconds))
                progress(f"pair {pair + 1}/{pairs}: {entry.name}: {_summary(outcomes[entry.name][-1])}")
    name = "webrtc" if size == VGA else f"webrtc_{size.height}p"
    tables = [_table(outcomes, idle, size, seconds), *_pair_tables(outcomes)]
    publish(name, options, figures(outcomes), tables)


def measure_idle(servers: Mapping[str, Server], browser: Browser) -> dict[str, float]:
    """What each server uses with no session, in percent of a core."""
    page = browser.new_page()
    page.wait_for_timeout(1000)
    before = {name: sample_cpu(server.pid) for name, server in servers.items()}
    page.wait_for_timeout(2000)
    page.close()
    return {name: sample_cpu(server.pid).percent_since(before[name]) for name, server in servers.items()}


def measure(browser: Browser, entry: Entry, server: Server, size: Size, seconds: float) -> Outcome | None:
    """None, after saying why, if no session could be had."""
    for _ in range(ATTEMPTS):
        try:
            seen = visit(browser, entry.contestant, server, size, receive_video=entry.receive_video, seconds=seconds)
        except (ServerFailed, BrowserError, TimeoutError) as error:
            progress(f"{entry.name} failed: {error}")
        else:
            return Outcome.of(seen)
    return None


def _summary(outcome: Outcome | None) -> str:
    if outcome is None:
        return "no session"
    display, messages = outcome.display, outcome.messages
    return (
        f"display p50 {display.percentile(50):.0f} p95 {display.percentile(95):.0f} ms ({display.kept:.0%} of "
        f"{display.total}), results p50 {messages.percentile(50):.1f} ms ({messages.kept:.0%} of {messages.total}), "
        f"CPU {outcome.cpu_percent:.1f} %, sent {outcome.visit.sent}, clock error {messages.clock_error_ms or 0:.1f} ms"
    )


def _table(
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
        "in server, beyond detector",
        "detector ms",
        "counted %",
        "jitter buffer ms",
        "CPU %",
        "idle CPU %",
        "fps",
    )
    rows: list[tuple[Cell, ...]] = []
    for name, all_runs in outcomes.items():
        runs = [run for run in all_runs if run is not None]
        if not runs:
            rows.append((name, 0, *[None] * (len(columns) - 2)))
            continue
        buffers = [run.visit.jitter_buffer_ms for run in runs if run.visit.jitter_buffer_ms is not None]
        rate = _median([max(run.display.total, run.messages.total) / run.visit.seconds for run in runs])
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
            )
        )
    notes = (
        "Medians over runs. display: camera capture time to the expected display of the returned picture. result: "
        "capture time to arrival on the data channel; beyond detector: less the detector's own time. in server: from "
        "a picture's last packet to its result leaving the pump. CPU: of the server's processes, % of a core.",
        "aiortc has no model: what the plumbing alone does.",
    )
    return Table(f"{size}@30 VP8, {seconds:.0f} s a run", columns, tuple(rows), notes)


def _pair_tables(outcomes: Mapping[str, Sequence[Outcome | None]]) -> list[Table]:
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
    return found


def main() -> None:
    arguments = parser("benchmarks.webrtc", "Latency and CPU over WebRTC against FastRTC and aiortc.")
    arguments.add_argument("--pairs", type=int, help=f"rounds (default {PAIRS}, quick {QUICK_PAIRS})")
    arguments.add_argument("--seconds", type=float, help=f"per session (default {SECONDS:.0f}, quick {QUICK_SECONDS})")
    arguments.add_argument("--servers", nargs="+", help="only these of: streamapp FastRTC aiortc")
    arguments.add_argument("--hd", action="store_true", help="1280x720 instead of 640x480")
    chosen = arguments.parse_args()
    options = Options.of(chosen)
    fastrtc_python()  # needs the package index: before the network is left
    address = enter("benchmarks.webrtc")
    pairs = chosen.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    seconds = chosen.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    run_webrtc(options, HD if chosen.hd else VGA, pairs, seconds, address, chosen.servers or ())


if __name__ == "__main__":
    main()
