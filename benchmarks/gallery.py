"""Who is it, among so many: the gallery's search against brute force with numpy, faiss and usearch.

`python -m benchmarks.gallery [--quick]`. People are random directions of 512 elements, half of the queries are noisy
pictures of one of them, half are strangers: the hard case, as nothing about the vectors helps. All searches are exact
and take turns, query by query. The peers run in benchmarks/.envs/search, as benchmarks/gallery_peer.py says.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO
from uuid import UUID

import numpy as np

from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.assets import asset
from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.gallery.calibration import parse_calibrations
from streamapp.gallery.fusion import Fusion, Member
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.people import Template

PEER_PYTHON = Path(__file__).parent / ".envs" / "search" / "bin" / "python"
DIMENSIONS = 512
NOISE = 1.2
"""Of a noisy picture, relative to its person: a cosine of about 0.64."""
GOAL_MS = 20.0
GOAL_PEOPLE = 100_000
NOW, FOR_EVER = 0.0, 1e12


@dataclass(frozen=True, slots=True)
class Answer:
    found: int
    """The row most like the query."""
    taken_s: float


Contestant = Callable[[int], Answer]
"""Searches for the query of that number."""


class Peer:
    """A program of gallery_peer.py."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [str(PEER_PYTHON), str(Path(__file__).with_name("gallery_peer.py")), name, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._out.readline().strip() != "ready":
            raise SystemExit(f"{name} did not start; benchmarks/gallery_peer.py says what it needs")

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def search(self, number: int) -> Answer:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        answer = json.loads(self._out.readline())
        return Answer(int(answer["found"]), float(answer["taken_s"]))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def unit(rows: Floats) -> Floats:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def drawn(people: int, queries: int, models: int) -> tuple[list[Floats], list[Floats]]:
    """For each model, the people and the queries."""
    draw = np.random.default_rng(people)
    asked = draw.integers(people, size=queries)
    known = (np.arange(queries) % 2 == 0)[:, None]
    vectors, looks = [], []
    for _ in range(models):
        vectors.append(unit(draw.standard_normal((people, DIMENSIONS), np.float32)))
        noise = unit(draw.standard_normal((queries, DIMENSIONS), np.float32))
        looks.append(unit((vectors[-1][asked] * known + NOISE * noise).astype(np.float32)))
    return vectors, looks


def ours(vectors: Sequence[Floats], queries: Sequence[Floats]) -> Contestant:
    curves = list(parse_calibrations(asset("models/calibration.toml").read_text("utf-8")).values())[: len(vectors)]
    fusion = Fusion(tuple(Member(curve, weight) for curve, weight in zip(curves, (0.5, 0.25, 0.25), strict=False)))
    names = [curve.model for curve in curves]
    templates = (
        Template(UUID(int=row), FOR_EVER, {n: Embedding(n, v[row], 1.0) for n, v in zip(names, vectors, strict=True)})
        for row in range(len(vectors[0]))
    )
    index = GalleryIndex(fusion, templates)

    def search(number: int) -> Answer:
        probe = {name: Embedding(name, query[number], 1.0) for name, query in zip(names, queries, strict=True)}
        start = time.perf_counter()
        result = index.search(probe, 5, NOW)
        taken_s = time.perf_counter() - start
        return Answer(result.matches[0].person_id.int, taken_s)

    return search


def brute_force(vectors: Sequence[Floats], queries: Sequence[Floats]) -> Contestant:
    """The floor: float32 matrix times vector, and the five best of the sum."""

    def search(number: int) -> Answer:
        start = time.perf_counter()
        total = vectors[0] @ queries[0][number]
        for rows, query in zip(vectors[1:], queries[1:], strict=True):
            total += rows @ query[number]
        best = np.argpartition(total, -5)[-5:]
        found = int(best[np.argmax(total[best])])
        return Answer(found, time.perf_counter() - start)

    return search


def race(contestants: dict[str, Contestant], queries: int) -> dict[str, list[Answer]]:
    """Every query through everybody, each time in another order."""
    names = list(contestants)
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    for number in range(queries):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            answers[name].append(contestants[name](number))
    return answers


def compare(people: int, queries: int, models: int) -> tuple[list[tuple[str | float | int | None, ...]], list[Figure]]:
    progress(f"{people} people, {models} model{'s' if models > 1 else ''}")
    vectors, looks = drawn(people, queries, models)
    contestants: dict[str, Contestant] = {"numpy": brute_force(vectors, looks), "ours": ours(vectors, looks)}
    with tempfile.TemporaryDirectory(prefix="bench-gallery-") as folder:
        peers = {}
        if models == 1 and PEER_PYTHON.is_file():
            np.save(Path(folder) / "people.npy", vectors[0])
            np.save(Path(folder) / "queries.npy", looks[0])
            peers = {name: Peer(name, Path(folder)) for name in ("faiss", "usearch")}
        try:
            answers = race(contestants | {name: peer.search for name, peer in peers.items()}, queries)
        finally:
            for peer in peers.values():
                peer.close()
    floor_ms = 1e3 * median(answer.taken_s for answer in answers["numpy"])
    rows: list[tuple[str | float | int | None, ...]] = []
    for name, of_one in answers.items():
        times_ms = sorted(1e3 * answer.taken_s for answer in of_one)
        same = sum(a.found == b.found for a, b in zip(of_one, answers["numpy"], strict=True))
        # Fused levels are no sum of cosines, so with several models only known faces must agree.
        agree = f"{same} of {queries}" if models == 1 else "-"
        middle_ms = median(times_ms)
        rows.append(
            (people, models, name, middle_ms, times_ms[int(0.95 * queries)], times_ms[0], middle_ms / floor_ms, agree)
        )
    ours_ms = median(1e3 * answer.taken_s for answer in answers["ours"])
    if people != GOAL_PEOPLE:
        return rows, []
    name = f"search of {people} people, {models} model{'s' if models > 1 else ''}"
    return rows, [
        Figure(name, ours_ms, "ms", f"<= {GOAL_MS:.0f}", ours_ms <= GOAL_MS),
        Figure(f"{name}, against numpy", ours_ms / floor_ms, "times"),
    ]


def main() -> None:
    options = Options.of(parser("benchmarks.gallery", "The gallery's search against others.").parse_args())
    sizes = (1_000, 10_000) if options.quick else (1_000, 10_000, GOAL_PEOPLE)
    if not PEER_PYTHON.is_file():
        progress("faiss and usearch are left out; benchmarks/gallery_peer.py says what they need")
    rows, figures = [], []
    for people in sizes:
        for models in (1, 3):
            some_rows, some_figures = compare(people, 20 if options.quick else 100, models)
            rows += some_rows
            figures += some_figures
    columns = ("people", "models", "search", "median ms", "95 % ms", "least ms", "against numpy", "same best")
    cores = len(os.sched_getaffinity(0))
    notes = (f"{cores} cores for everybody; ours uses one per model, two at most. Peers search one model.",)
    publish("gallery", options, figures, [Table("Search for a face", columns, tuple(rows), notes)])


if __name__ == "__main__":
    main()
