"""RTSP cameras per core: how many 720p30 H264 streams one core analyses, and what each costs over the bare minimum.

A GStreamer server sends a clip that was encoded beforehand; it has one core, what is measured has the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clips import CLIP_S, H264, write_mp4
from benchmarks.machine import on_core, split_cores
from benchmarks.media import HD
from benchmarks.processes import ROOT, Server, ServerFailed, free_port, running
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from streamapp.capacity.processes import sample_cpu

PYTHON_WITH_GSTREAMER = "/usr/bin/python3"
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
FULL_RATE = 29.0
COUNTS, SECONDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16), 8.0
QUICK_COUNTS, QUICK_SECONDS = (1, 4), 3.0
WAYS = {
    "runtime": "streamapp",
    "thread": "streamapp, decoder = thread",
    "floor": "floor: decode + bare detector",
    "script": "plain script",
}
PROCESS_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Load:
    """So many streams, in one way of reading them."""

    way: str
    streams: int
    slowest_fps: float
    cpu_percent: float
    """Of the reader; one core is 100."""
    server_percent: float

    @property
    def per_stream(self) -> float:
        return self.cpu_percent / self.streams

    @property
    def kept_up(self) -> bool:
        return self.slowest_fps >= FULL_RATE


def measure(way: str, url: str, streams: int, seconds: float, server: Server, core: int) -> Load:
    """Raises ServerFailed when the reader does not come to an end."""
    command = [sys.executable, "-m", "benchmarks.peers.rtsp_readers", way, url, str(streams), str(seconds)]
    before = sample_cpu(server.pid)
    with on_core(core):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=PROCESS_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"{way} with {streams} streams did not end") from error
    finally:
        process.kill()
        process.wait()
    server.check()
    if process.returncode:
        raise ServerFailed(f"{way} with {streams} streams: {errors[-800:]}")
    reading = json.loads(output.splitlines()[-1])
    served = sample_cpu(server.pid).percent_since(before)
    return Load(way, streams, min(reading["fps"]), reading["cpu_percent"], served)


def measure_twice(way: str, url: str, streams: int, seconds: float, server: Server, core: int) -> Load | None:
    """Once more if the first try did not keep up, or failed: the machine may have been busy. None if both failed."""
    best: Load | None = None
    for _ in range(2):
        try:
            load = measure(way, url, streams, seconds, server, core)
        except ServerFailed as error:
            progress(str(error))
            continue
        progress(f"{way}, {streams} streams: {load.slowest_fps:.1f} fps, {load.cpu_percent:.0f} % of a core")
        if best is None or load.slowest_fps > best.slowest_fps:
            best = load
        if best.kept_up:
            break
    return best


def run_rtsp(options: Options) -> None:
    counts, seconds = (QUICK_COUNTS, QUICK_SECONDS) if options.quick else (COUNTS, SECONDS)
    core, load_core = split_cores()
    if load_core is None:
        progress("one core only: the server shares it with what is measured, so figures are too low")
    loads: list[Load] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-rtsp-")))
        progress(f"encoding a clip, {HD}@30 H264")
        clip = write_mp4(folder / "clip.mp4", H264, HD, iframe_every=30, loops=120 // CLIP_S)
        port = free_port()
        command = [PYTHON_WITH_GSTREAMER, str(ROOT / "benchmarks/peers/rtsp_server.py"), str(port), str(clip)]
        server = stack.enter_context(running("RTSP server", command, port, core=load_core))
        url = f"rtsp://127.0.0.1:{port}/clip"
        beaten: set[str] = set()
        for streams in counts:
            for way in WAYS:
                if way in beaten:
                    continue
                load = measure_twice(way, url, streams, seconds, server, core)
                if load is not None:
                    loads.append(load)
                if load is None or not load.kept_up:
                    beaten.add(way)
    publish("rtsp", options, _figures(loads), [_table(loads)])


def _table(loads: list[Load]) -> Table:
    floor = {load.streams: load.per_stream for load in loads if load.way == "floor"}
    rows: list[tuple[Cell, ...]] = [
        (
            WAYS[load.way],
            load.streams,
            load.slowest_fps,
            load.cpu_percent,
            load.per_stream,
            load.per_stream / floor[load.streams] if load.streams in floor else None,
            load.server_percent,
        )
        for load in sorted(loads, key=lambda load: (list(WAYS).index(load.way), load.streams))
    ]
    columns = ("reader", "streams", "slowest fps", "CPU %", "CPU % a stream", "over floor", "RTSP server CPU %")
    notes = (
        "One core for the reader. floor: PyAV decodes, MediaPipe's detector is called with an array that is already "
        "there. plain script: PyAV, to_ndarray, MediaPipe; a thread per stream.",
    )
    return Table("720p30 H264 over RTSP", columns, tuple(rows), notes)


def _figures(loads: list[Load]) -> list[Figure]:
    figures = []
    for way, name in WAYS.items():
        kept = [load.streams for load in loads if load.way == way and load.kept_up]
        figures.append(Figure(f"720p30 streams per core, {name}", float(max(kept, default=0)), "streams"))
    both = {load.streams for load in loads if load.way == "floor" and load.kept_up}
    ours = [load for load in loads if load.way == "runtime" and load.kept_up and load.streams in both]
    if ours:
        most = max(ours, key=lambda load: load.streams)
        floor = next(load for load in loads if load.way == "floor" and load.streams == most.streams)
        ratio = most.per_stream / floor.per_stream
        figures.append(Figure(f"CPU per stream over the floor, {most.streams} streams", ratio, "x"))
    return figures


def main() -> None:
    options = Options.of(parser("benchmarks.rtsp", "720p30 RTSP streams per core.").parse_args())
    found = subprocess.run(
        [PYTHON_WITH_GSTREAMER, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"],
        capture_output=True,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"no GStreamer RTSP server here (Debian: apt-get install {PACKAGES})")
    run_rtsp(options)


if __name__ == "__main__":
    main()
