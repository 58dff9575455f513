"""What the models cost beside the bare runtime, and MTCNN beside two others.

`python -m benchmarks.models [--quick]`. Weights come from ../shared/models, full-size graphs, with noise for weights,
from ../shared/graphs; what is not there is left out. Contestants take turns, picture by picture; medians are compared,
of MTCNNs the fastest turns. The peers run in benchmarks/.envs/peers, as benchmarks/mtcnn_peer.py says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import IO, TypeVar

import cv2
import numpy as np

from benchmarks.model_files import GRAPHS, SHARED, filled_graph, registry_of
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.frame import Image
from streamapp.zoo import catalogue
from streamapp.zoo.alignment import template
from streamapp.zoo.base import Face, Model, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.mtcnn_cascade import Mtcnn
from streamapp.zoo.ort_session import OrtSession
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Task

ROOT = Path(__file__).parent.parent
PEER_PYTHON = Path(__file__).parent / ".envs" / "peers" / "bin" / "python"
PICTURES = {"group of 5": "groups/uniface_src_meeting.jpg", "one face": "portraits/uniface_image0.jpg"}
OURS = "streamapp"
REST_S = 0.3
"""Between turns: threads of a runtime spin for a while after their work, in the next one's time."""
YOLO_GOAL, FACE_GOAL = 1.10, 1.10
FACENET_PYTORCH_GOAL, MTCNN_GOAL, REFINE_GOAL_MS = 5.0, 8.0, 1.0

Work = Callable[[], object]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Stage:
    """One model end to end, and nothing but its session on the same input."""

    name: str
    whole: Work
    bare: Work


def timed(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    arguments = parser("benchmarks.models", __doc__.splitlines()[0]).parse_args()
    options = Options.of(arguments)
    rounds = 5 if options.quick else 40
    with tempfile.TemporaryDirectory(prefix="streamapp-models-") as folder:
        stages = [stage for name in GRAPHS if (stage := full_size_stage(name, Path(folder)))]
        overhead, stage_figures = compare_stages(stages, rounds)
        tables, figures = [overhead], list(stage_figures)
        cascade = compare_mtcnn(Path(folder), 3 if options.quick else 15)
        if cascade:
            tables.append(cascade[0])
            figures += cascade[1]
    publish("models", options, figures, tables)


def full_size_stage(name: str, folder: Path) -> Stage | None:
    path = filled_graph(name, folder)
    if path is None:
        return None
    registry, variant = registry_of(name, path)
    session = open_session(registry, variant, SessionOptions())
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    if variant.task is Task.DETECT:
        detector = catalogue.detector(name)
        return stage_of(name, session, detector, lambda: letterbox(rgb, detector.spec.side))
    face = Face(np.array((200, 100, 360, 300), np.float32), template(200) + np.array((190, 90), np.float32))
    match variant.task:
        case Task.RECOGNISE:
            recogniser = catalogue.recogniser(name)
            return stage_of(name, session, recogniser, lambda: recogniser.cut(rgb, face))
        case Task.ANTISPOOF:
            antispoofer = catalogue.antispoofer(name)
            return stage_of(name, session, antispoofer, lambda: antispoofer.cut(rgb, face))
        case Task.GENDER_AGE:
            net = catalogue.gender_age_net(name)
            return stage_of(name, session, net, lambda: net.cut(rgb, face))
        case _:
            deepfake = catalogue.deepfake_detector(name)
            return stage_of(name, session, deepfake, lambda: deepfake.cut(rgb, face))


def stage_of(name: str, session: ModelSession, model: Model[_Item, object], make: Callable[[], _Item]) -> Stage:
    batch = model.preprocess([make()])
    assert isinstance(session, OrtSession)
    runtime = session._session
    assert runtime is not None
    return Stage(name, lambda: infer(session, model, [make()]), lambda: runtime.run(None, {session.input.name: batch}))


def compare_stages(stages: Sequence[Stage], rounds: int) -> tuple[Table, list[Figure]]:
    """End to end against the bare session, in turns."""
    taken: dict[str, tuple[list[float], list[float]]] = {stage.name: ([], []) for stage in stages}
    for number in range(rounds + 2):
        progress(f"stages: round {number + 1} of {rounds + 2}")
        for stage in stages:
            whole, bare = timed(stage.whole), timed(stage.bare)
            if number >= 2:
                taken[stage.name][0].append(whole)
                taken[stage.name][1].append(bare)
    rows, ratios = [], {}
    for name, (whole_s, bare_s) in taken.items():
        ratios[name] = median(a / b for a, b in zip(whole_s, bare_s, strict=True))
        rows.append((name, 1e3 * median(whole_s), 1e3 * median(bare_s), ratios[name]))
    faces = [name for name in taken if not name.startswith("yolo")]
    figures = [
        Figure(f"{name} over its session", ratio, "times", f"<= {YOLO_GOAL}", ratio <= YOLO_GOAL)
        for name, ratio in ratios.items()
        if name.startswith("yolo")
    ]
    if faces:
        whole = sum(median(taken[name][0]) for name in faces)
        ratio = whole / sum(median(taken[name][1]) for name in faces)
        goal = f"<= {FACE_GOAL}"
        figures.append(Figure("all analyses of one face over their sessions", ratio, "times", goal, ratio <= FACE_GOAL))
        figures.append(Figure("all analyses of one face", 1e3 * whole, "ms"))
    columns = ("variant", "crop, pre, run, post (ms)", "session.run (ms)", "ratio")
    return Table("One item, one thread, full-size graphs with noise for weights", columns, tuple(rows)), figures


class Peer:
    """Another MTCNN in a process of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        command = [str(PEER_PYTHON), str(Path(__file__).with_name("mtcnn_peer.py")), name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while self._out.readline().strip() != "ready":
            if self._process.poll() is not None:
                raise SystemExit(f"{name} did not start; benchmarks/mtcnn_peer.py says what it needs")

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def detect(self, file: Path) -> tuple[int, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        answer = json.loads(self._out.readline())
        return int(answer["faces"]), float(answer["taken_s"])

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def open_mtcnn(folder: Path, suffix: str) -> Mtcnn:
    """The plain nets, or with "-folded" those models/build_mtcnn.py makes."""
    manifest, weights = load_manifest(), SHARED / "models"
    if suffix:
        sources = [str(weights / f"det{number}.npy") for number in (1, 2, 3)]
        subprocess.run([sys.executable, str(ROOT / "models" / "build_mtcnn.py"), *sources, str(folder)], check=True)
        weights = folder
    registry = Registry(manifest, weights)
    names = (f"mtcnn-{net}{suffix}" for net in ("rnet", "onet", "pnet"))
    rnet, onet, pnet = (catalogue.load(registry, manifest.named(name), SessionOptions()) for name in names)
    return Mtcnn(rnet, onet, pnet)


def compare_mtcnn(folder: Path, rounds: int) -> tuple[Table, list[Figure]] | None:
    """The cascade against its peers on the same pixels, and the refinement of boxes another detector found."""
    if not (SHARED / "models" / "det1.npy").is_file():
        return None
    plain, folded = open_mtcnn(folder, ""), open_mtcnn(folder, "-folded")
    peers = [Peer(name) for name in ("facenet_pytorch", "mtcnn")] if PEER_PYTHON.is_file() else []
    rows: list[tuple[str | float | int | None, ...]] = []
    figures: list[Figure] = []
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    contestants = {
        OURS: replace(folded, run_parts=pool.map),
        "streamapp, one thread": folded,
        "streamapp, one thread, plain nets": plain,
    }
    try:
        for picture, relative in PICTURES.items():
            bgr = cv2.imread(str(SHARED / "media" / relative))
            assert bgr is not None, f"{relative} is not there"
            rgb = np.asarray(cv2.cvtColor(cv2.resize(bgr, (640, 480)), cv2.COLOR_BGR2RGB), np.uint8)
            file = folder / f"{Path(relative).stem}.npy"
            np.save(file, rgb)
            taken, faces = take_turns(rgb, file, contestants, peers, rounds)
            ours = min(taken[OURS])
            for name, times in taken.items():
                rows.append((picture, name, faces[name], 1e3 * median(times), 1e3 * min(times), min(times) / ours))
            for name, goal in (("facenet_pytorch", FACENET_PYTORCH_GOAL), ("mtcnn", MTCNN_GOAL)):
                if name in taken:
                    ratio = min(taken[name]) / ours
                    figures.append(
                        Figure(f"MTCNN, {picture}: {name} / ours", ratio, "times", f">= {goal:g}", ratio >= goal)
                    )
            figures.append(refinement(picture, rgb, folded, rounds))
    finally:
        pool.shutdown()
        for peer in peers:
            peer.close()
    columns = ("640x480", "MTCNN of", "faces", "ms", "fastest (ms)", "times ours")
    notes = (
        "All on every core but where it says otherwise; facenet_pytorch without the time of its suppression.",
        "By the fastest of each: other work on the machine slows those most whose threads wait for each other.",
    )
    return Table("MTCNN cascade, smallest face 20 pixels", columns, tuple(rows), notes), figures


def take_turns(
    rgb: Image, file: Path, ours: dict[str, Mtcnn], peers: Sequence[Peer], rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    taken: dict[str, list[float]] = {name: [] for name in (*ours, *(peer.name for peer in peers))}
    faces: dict[str, int] = {}
    for number in range(rounds + 2):
        progress(f"MTCNN on {file.stem}: round {number + 1} of {rounds + 2}")
        for name, mtcnn in ours.items():
            time.sleep(REST_S)
            start = time.perf_counter()
            faces[name] = len(mtcnn.detect(rgb))
            taken[name].append(time.perf_counter() - start)
        for peer in peers:
            time.sleep(REST_S)
            faces[peer.name], taken_s = peer.detect(file)
            taken[peer.name].append(taken_s)
    return {name: times[2:] for name, times in taken.items()}, faces


def refinement(picture: str, rgb: Image, mtcnn: Mtcnn, rounds: int) -> Figure:
    time.sleep(REST_S)
    found = mtcnn.detect(rgb)
    each_ms = [1e3 * timed(lambda: mtcnn.refine(rgb, found.boxes)) / len(found) for _ in range(3 * rounds)]
    value = median(each_ms)
    return Figure(f"MTCNN refine, {picture}", value, "ms per face", f"<= {REFINE_GOAL_MS:g}", value <= REFINE_GOAL_MS)


if __name__ == "__main__":
    main()
