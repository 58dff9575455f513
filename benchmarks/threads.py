"""How the models are best run on a processor: threads, Python's switch interval, kept graphs, and which library.

`python -m benchmarks.threads [--quick]`. Contestants are measured in turn, and medians are compared. Weights come from
../shared/models, full-size graphs, with noise for weights, from ../shared/graphs; what is not there, and OpenVINO where
it is not installed, is left out. docs/adr/0007 says what was chosen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from benchmarks.model_files import GRAPHS, filled_graph, real_weights, registry_of
from benchmarks.model_libraries import compare_libraries
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from benchmarks.turns import Work, blank, in_turns, opened, timed
from streamapp.zoo.mtcnn_cascade import RunParts
from streamapp.zoo.session import SessionOptions, open_session

ROUND = (
    *("yolov8-lite-t-face", "mtcnn-rnet", "mtcnn-onet", "arcface-mbf-w600k-int8", "antispoof-bin-128"),
    *("genderage-v1", "meso-inception-df"),
)
"""What one keyframe may ask for, one net of each kind."""
SMALL = "mtcnn-rnet"
INTERVALS_S = (0.005, 0.002, 0.001, 0.0005, 0.0001)
"""The first is Python's own."""
KEPT = ("yolov10n-face", "facenet-vggface2", "arcface-r100-glint", "mobilefacenet-insightface-y1", "antispoof-bin-128")
BURST_S = 0.2
OURS = "1 thread, all at once"
REST_S = 0.2
"""Between turns: threads of a runtime spin for a while after their work, in the next one's time."""
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    options = parser("benchmarks.threads", __doc__.splitlines()[0])
    options.add_argument("--load", nargs=3, metavar=("VARIANT", "FILE", "CACHE"), help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.load is not None:
        print(json.dumps(load(*arguments.load)))
        return
    chosen = Options.of(arguments)
    rounds = 3 if chosen.quick else 25
    with tempfile.TemporaryDirectory(prefix="streamapp-threads-") as folder:
        parts = [
            compare_threads(rounds),
            compare_intervals(rounds),
            compare_kept(Path(folder), 1 if chosen.quick else 3),
            compare_libraries(Path(folder), rounds, full_size=not chosen.quick),
        ]
    publish("threads", chosen, [figure for _, figures in parts for figure in figures], [table for table, _ in parts])


def run_all(works: Sequence[Work], how: RunParts) -> None:
    for _ in how(lambda work: work(), works):
        pass


# -- threads of a session ----------------------------------------------------------------------------------------------


def compare_threads(rounds: int) -> tuple[Table, list[Figure]]:
    """A round of small nets, one session each: threads per session, and sessions one after the other or at once."""
    import onnxruntime

    progress("threads of a session")
    paths = {name: path for name in ROUND if (path := real_weights(name))}
    runs: dict[str, list[Work]] = {}
    for label, threads in (("1 thread", 1), (f"{CORES} threads, which sleep", CORES)):
        sessions = [opened(name, path, SessionOptions(intra_op_threads=threads)) for name, path in paths.items()]
        runs[label] = [partial(session.run, blank(session)) for session in sessions]
    defaults = [onnxruntime.InferenceSession(str(p), providers=["CPUExecutionProvider"]) for p in paths.values()]
    runs["the runtime's defaults"] = [
        partial(default.run, None, {session.input.name: blank(session)})
        for default, session in zip(defaults, sessions, strict=True)
    ]
    with ThreadPoolExecutor(len(paths)) as pool:
        contestants: dict[str, Work] = {}
        for label, works in runs.items():
            contestants[f"{label}, one after the other"] = partial(run_all, works, map)
            contestants[f"{label}, all at once"] = partial(run_all, works, pool.map)
        spent = in_turns(contestants, rounds, rest_s=REST_S)
    ours = spent.pop(OURS)
    rows = tuple((name, *took, took.cpu_ms / ours.cpu_ms) for name, took in ((OURS, ours), *spent.items()))
    defaults_ms = spent["the runtime's defaults, all at once"]
    figures = [
        Figure("a round: the runtime's defaults / ours", defaults_ms.wall_ms / ours.wall_ms, "times"),
        Figure("the same, processor time", defaults_ms.cpu_ms / ours.cpu_ms, "times"),
        Figure("a round: the best setting / ours", min(s.wall_ms for s in spent.values()) / ours.wall_ms, "times"),
    ]
    title = f"A round of {len(paths)} small nets on {CORES} cores, by threads per session"
    columns = ("sessions", "ms a round", "processor ms a round", "times ours")
    return Table(title, columns, rows), figures


# -- Python's switch interval ------------------------------------------------------------------------------------------


@contextmanager
def busy_thread() -> Iterator[Callable[[], int]]:
    """A thread that only computes in Python; gives how many loops it has made."""
    loops, ended = [0], threading.Event()

    def spin() -> None:
        while not ended.is_set():
            loops[0] += 1

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield lambda: loops[0]
    finally:
        ended.set()
        thread.join()


def compare_intervals(rounds: int) -> tuple[Table, list[Figure]]:
    """A small net called over and over, alone and beside a thread that holds the interpreter."""
    progress("Python's switch interval")
    path = real_weights(SMALL)
    assert path is not None, f"{SMALL} is not there"
    session = opened(SMALL, path, SessionOptions())
    given, usual = blank(session), sys.getswitchinterval()

    def call_ms() -> float:
        """Over a while in which both sides have their turns."""
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < BURST_S:
            session.run(given)
            calls += 1
        return 1e3 * (time.perf_counter() - start) / calls

    alone_ms = median(call_ms() for _ in range(rounds))
    beside: dict[float, list[float]] = {interval: [] for interval in INTERVALS_S}
    loops: dict[float, list[float]] = {interval: [] for interval in INTERVALS_S}
    try:
        for _ in range(rounds):
            for interval in INTERVALS_S:
                sys.setswitchinterval(interval)
                with busy_thread() as made:
                    before, start = made(), time.perf_counter()
                    beside[interval].append(call_ms())
                    loops[interval].append((made() - before) / (time.perf_counter() - start))
    finally:
        sys.setswitchinterval(usual)
    free = median(loops[INTERVALS_S[0]])
    rows = tuple(
        (f"{1e3 * i:g} ms", median(beside[i]), median(beside[i]) / alone_ms, 100 * median(loops[i]) / free)
        for i in INTERVALS_S
    )
    gain = median(beside[INTERVALS_S[0]]) / median(beside[0.0005])
    columns = ("interval", "ms a call beside a busy thread", "times alone", "work of the busy thread (%)")
    notes = (f"{SMALL}, {alone_ms:.3f} ms a call with the interpreter to itself.",)
    figures = [Figure("a call beside a busy thread: switching every 5 ms / every 0.5 ms", gain, "times")]
    return Table("Python's switch interval", columns, rows, notes), figures


# -- kept graphs -------------------------------------------------------------------------------------------------------


def load(name: str, file: str, cache: str) -> tuple[float, float]:
    """Seconds and resident megabytes it takes to load and warm up one session in this fresh process."""
    import onnxruntime  # noqa: F401 - what is measured comes on top of it

    registry, variant = registry_of(name, Path(file))
    registry.verified(variant)
    before = psutil.Process().memory_info().rss
    options = SessionOptions(graph_cache=Path(cache) if cache else None, warm_up=(1,))
    taken_s = timed(lambda: open_session(registry, variant, options))
    return taken_s, (psutil.Process().memory_info().rss - before) / 1e6


def compare_kept(folder: Path, rounds: int) -> tuple[Table, list[Figure]]:
    progress("kept graphs")
    rows, ratios = [], []
    for name in KEPT:
        path = filled_graph(name, folder) if name in GRAPHS else real_weights(name)
        if path is None:
            continue
        found: dict[str, list[tuple[float, float]]] = {"": [], str(folder / "cache"): []}
        for number in range(rounds + 1):  # the first fills the cache
            for cache, taken in found.items():
                command = [sys.executable, "-m", "benchmarks.threads", "--load", name, str(path), cache]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                if number:
                    taken.append(json.loads(done.stdout))
        plain, kept = ([median(column) for column in zip(*taken, strict=True)] for taken in found.values())
        rows.append((name, 1e3 * plain[0], 1e3 * kept[0], plain[1], kept[1]))
        ratios.append(plain[0] / kept[0])
    columns = ("variant", "load (ms)", "from a kept graph", "memory (MB)", "from a kept graph")
    figures = [Figure("loading: plain / from a kept graph, median", median(ratios), "times")] if ratios else []
    return Table("Loading and warming up, in a fresh process", columns, tuple(rows)), figures


if __name__ == "__main__":
    main()
