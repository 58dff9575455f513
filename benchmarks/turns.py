"""Contestants in turns, and sessions to run in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.model_files import registry_of
from streamapp.faces import Floats
from streamapp.zoo.base import ModelSession
from streamapp.zoo.session import SessionOptions, open_session

Work = Callable[[], object]


class Spent(NamedTuple):
    """Milliseconds by the clock, and of processor time in all threads, which other work on the machine changes less."""

    wall_ms: float
    cpu_ms: float


def timed(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(contestants: Mapping[str, Work], rounds: int, *, rest_s: float = 0.0) -> dict[str, Spent]:
    """Medians of each. Time spent in spinning after the work counts for it."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            cpu_s, taken_s = time.process_time(), timed(work)
            time.sleep(rest_s)
            if number:
                taken[name].append((taken_s, time.process_time() - cpu_s))
    return {name: Spent(*(1e3 * median(c) for c in zip(*times, strict=True))) for name, times in taken.items()}


def blank(session: ModelSession) -> Floats:
    shape = [size or 64 for size in session.input.shape[1:]]
    return np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)


def opened(name: str, path: Path, options: SessionOptions) -> ModelSession:
    registry, variant = registry_of(name, path)
    return open_session(registry, variant, options)
