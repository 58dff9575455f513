"""Optimised graphs, kept so that the next start loads them in half the time and memory.

A kept graph is bound to the weights, the runtime's version and the type of processor: all are in its name, and so is
the checksum of its own content, which is checked before it is used.
"""

from __future__ import annotations

import hashlib
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class GraphCache:
    """A folder of optimised graphs. Anything in the way of reading or writing it only costs time."""

    def __init__(self, folder: Path, runtime_version: str) -> None:
        self._folder = folder
        self._binding = hashlib.sha256(f"{runtime_version} {processor()}".encode()).hexdigest()[:16]

    @staticmethod
    def key(source: Path | bytes) -> str:
        """What a model file is known by."""
        return (hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else _sha256(source))[:32]

    def find(self, key: str) -> Path | None:
        """A kept graph, whole and unchanged since it was written, or None. A damaged one is removed."""
        for path in self._folder.glob(f"{key}-{self._binding}-*.onnx"):
            try:
                digest = _sha256(path)
            except OSError:
                continue
            if digest == path.stem.rpartition("-")[2]:
                return path
            path.unlink(missing_ok=True)
        return None

    @contextmanager
    def new(self, key: str) -> Iterator[Path | None]:
        """Where a graph is to be written; it is kept when the block ends well. None if the folder cannot be used."""
        path = self._folder / f".{key}-{os.getpid()}-{threading.get_ident()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            yield None
            return
        try:
            yield path
            if path.is_file():
                path.replace(self._folder / f"{key}-{self._binding}-{_sha256(path)}.onnx")
        finally:
            path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def processor() -> str:
    """The type of processor: its name and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    wanted = ("model name", "flags", "Features")
    return " ".join([platform.machine(), *(v for k, v in told.items() if k.strip() in wanted)])
