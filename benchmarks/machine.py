"""What was measured on, and on which of its cores."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("streamapp", "aiortc", "av", "mediapipe", "ai-edge-litert", "numpy")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the versions that matter. `load` is the load average of the last minute at the end of the run."""

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str]
    load: float

    def summary(self) -> str:
        return f"{self.cores} cores of {self.cpu}, {self.system}, Python {self.python}, load {self.load:.1f}"


def describe_machine() -> Machine:
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=packages,
        load=round(os.getloadavg()[0], 2),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def split_cores() -> tuple[int, int | None]:
    """The core for what is measured and one for its load, None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[1] if len(cores) > 1 else None


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What the calling thread starts inside the block runs on that core only."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
