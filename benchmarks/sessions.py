"""WebRTC sessions per core at 30 pictures a second: the server has one core, publishers of coded video the other."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clips import vp8_pictures
from benchmarks.contestants import Entry, contestants, serving, ways_of_use
from benchmarks.detectors import measured_settings
from benchmarks.isolation import enter
from benchmarks.machine import on_core, split_cores
from benchmarks.media import VGA
from benchmarks.peer_env import fastrtc_python
from benchmarks.processes import ROOT, Server, ServerFailed
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from streamapp.capacity.clip import VP8
from streamapp.capacity.processes import CpuSample, sample_cpu

FULL_RATE = 29.0
COUNTS, SECONDS = (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 28), 6.0
QUICK_COUNTS, QUICK_SECONDS = (1, 4), 3.0
PROCESS_TIMEOUT_S = 90.0
LOADED_PERCENT = 90.0
"""Publishers that use more of their core than this may be what is slow."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many sessions of one entry. Rates are those of the slowest session; None where nothing was asked for."""

    entry: Entry
    sessions: int
    results_fps: float | None
    pictures_fps: float | None
    cpu_percent: float
    clients_percent: float

    @property
    def slowest_fps(self) -> float:
        return min(rate for rate in (self.results_fps, self.pictures_fps) if rate is not None)

    @property
    def kept_up(self) -> bool:
        return self.slowest_fps >= FULL_RATE


def measure(entry: Entry, server: Server, sessions: int, seconds: float, clip: Path, core: int | None) -> Load:
    """Raises ServerFailed when the sessions cannot be had."""
    command = [sys.executable, "-m", "benchmarks.peers.publishers", entry.contestant.name, server.url, str(sessions)]
    command += ["yes" if entry.receive_video else "no", str(seconds), str(clip)]
    with tempfile.TemporaryFile("w+") as errors:
        with on_core(core):
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        samples: list[CpuSample] = []
        last = ""
        try:
            for line in process.stdout:
                if line.startswith("measur"):
                    samples.append(sample_cpu(server.pid))
                last = line
            process.wait(PROCESS_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        server.check()
        if process.returncode or len(samples) != 2:
            errors.seek(0)
            raise ServerFailed(f"{entry.name}, {sessions} sessions: {errors.read()[-800:]}")
    counts = json.loads(last)
    return Load(
        entry,
        sessions,
        min(counts["results"], default=None),
        min(counts["pictures"], default=None),
        samples[1].percent_since(samples[0]),
        counts["cpu_percent"],
    )


def measure_twice(
    entry: Entry, server: Server, sessions: int, seconds: float, clip: Path, core: int | None
) -> Load | None:
    """Once more if the first try did not keep up, or failed: the machine may have been busy. None if both failed."""
    best: Load | None = None
    for _ in range(2):
        try:
            load = measure(entry, server, sessions, seconds, clip, core)
        except ServerFailed as error:
            progress(str(error))
            continue
        progress(_summary(load))
        if best is None or load.slowest_fps > best.slowest_fps:
            best = load
        if best.kept_up:
            break
    return best


def run_sessions(options: Options, only: Sequence[str]) -> None:
    counts, seconds = (QUICK_COUNTS, QUICK_SECONDS) if options.quick else (COUNTS, SECONDS)
    field = contestants(measured_settings(), fastrtc_python())
    field = {name: one for name, one in field.items() if not only or name in only}
    entries = ways_of_use(field.values())
    core, load_core = split_cores()
    if load_core is None:
        progress("one core only: the publishers share it with the server, so figures are too low")
    loads: list[Load] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-sessions-")))
        progress(f"encoding a clip, {VGA}@30 VP8")
        clip = folder / "clip.pickle"
        clip.write_bytes(pickle.dumps(vp8_pictures(VGA)))
        servers = {name: stack.enter_context(serving(contestant, core)) for name, contestant in field.items()}
        for sessions in counts:
            for entry in tuple(entries):
                server = servers[entry.contestant.name]
                load = measure_twice(entry, server, sessions, seconds, clip, load_core)
                if load is not None:
                    loads.append(load)
                if load is None or not load.kept_up:
                    entries.remove(entry)
    publish("sessions", options, _figures(loads), [_table(loads)])


def _summary(load: Load) -> str:
    used = f"server {load.cpu_percent:.0f} %, publishers {load.clients_percent:.0f} %"
    return f"{load.entry.name}, {load.sessions} sessions: {load.slowest_fps:.1f} fps, {used}"


def _table(loads: list[Load]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            load.entry.name,
            load.sessions,
            load.results_fps,
            load.pictures_fps,
            load.cpu_percent,
            load.cpu_percent / load.sessions,
            load.clients_percent,
            "publishers" if load.clients_percent > LOADED_PERCENT else "",
        )
        for load in sorted(loads, key=lambda load: (load.entry.name, load.sessions))
    ]
    columns = (
        *("server", "sessions", "results fps", "video fps"),
        *("CPU %", "CPU % a session", "publishers CPU %", "limit"),
    )
    notes = (
        f"{VGA}@30 VP8 at {VP8.bit_rate / 1e6:.1f} Mbit/s, server on one core. fps: of the slowest session. aiortc has "
        "no model; FastRTC flips the picture. limit: where the publishers' core, not the server's, may be full.",
    )
    return Table("Sessions on one core", columns, tuple(rows), notes)


def _figures(loads: list[Load]) -> list[Figure]:
    figures = []
    for name in dict.fromkeys(load.entry.name for load in loads):
        kept = [load.sessions for load in loads if load.entry.name == name and load.kept_up]
        figures.append(Figure(f"sessions per core at 30 fps, {name}", float(max(kept, default=0)), "sessions"))
    return figures


def main() -> None:
    arguments = parser("benchmarks.sessions", "WebRTC sessions per core at 30 fps.")
    arguments.add_argument("--servers", nargs="+", help="only these of: streamapp FastRTC aiortc")
    chosen = arguments.parse_args()
    fastrtc_python()  # needs the package index: before the network is left
    enter("benchmarks.sessions")
    run_sessions(Options.of(chosen, partial=bool(chosen.servers)), chosen.servers or ())


if __name__ == "__main__":
    main()
