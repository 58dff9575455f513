"""What a session of each variant takes, by the largest batch it has run: the `memory_mb` lines of models/manifest.toml.

`python -m benchmarks.model_memory [VARIANT...] [--write] [--weights DIR]`. One process per variant; resident memory
over that of a process that has only imported the runtime. Weights come from DIR or ../shared/models, else from the
full-size graphs of ../shared/graphs, with noise for weights; the ViT's graph is of another precision than its variants
and says nothing of them. Numbers are of the CPU; the scheduler replaces them by what it measures on its own device.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil

from benchmarks.model_files import GRAPHS, SHARED, filled_graph, registry_of
from benchmarks.report import progress
from streamapp.zoo.buckets import BUCKETS
from streamapp.zoo.catalogue import spec_of
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.session import SessionOptions, open_session, return_freed_memory
from streamapp.zoo.spec import Task, Variant

MANIFEST = Path(__file__).parent.parent / "models" / "manifest.toml"
LEVEL_SIDE = 384
"""Longer side of the picture that a net for any size is tried with: a pyramid's largest level at 640x480."""


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.model_memory", description=__doc__)
    options.add_argument("variants", nargs="*")
    options.add_argument("--write", action="store_true", help="put the lines into models/manifest.toml")
    options.add_argument("--weights", type=Path, default=SHARED / "models", help="folder with files by name")
    options.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(load_manifest().named(arguments.variants[0]), arguments.measure)))
        return
    chosen = [v for v in load_manifest().variants if v.name in arguments.variants or not arguments.variants]
    with tempfile.TemporaryDirectory(prefix="streamapp-memory-") as folder:
        for variant in chosen:
            path = weights_of(variant, arguments.weights, Path(folder)) if spec_of(variant) is not None else None
            if path is None:
                progress(f"{variant.name}: no weights and no graph of it here")
                continue
            command = [sys.executable, "-m", "benchmarks.model_memory", variant.name, "--measure", str(path)]
            taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            line = "memory_mb = { " + ", ".join(f"{batch} = {mb:g}" for batch, mb in taken.items()) + " }"
            print(f"{variant.name}: {line}", flush=True)
            if arguments.write:
                write(variant.name, line)


def weights_of(variant: Variant, weights: Path, folder: Path) -> Path | None:
    given = weights / variant.file
    if variant.task is Task.SCREEN:  # LiteRT's
        return None
    if given.is_file():
        return given
    return filled_graph(variant.name, folder) if variant.name in GRAPHS and variant.task is not Task.DEEPFAKE else None


def measure(variant: Variant, path: Path) -> dict[str, float]:
    """Megabytes by batch size, in this fresh process; whole ones above ten."""
    registry, found = registry_of(variant.name, path)
    registry.verified(found)
    import onnxruntime  # noqa: F401 - what is measured comes on top of it

    return_freed_memory()
    before = psutil.Process().memory_info().rss
    session = open_session(registry, found, SessionOptions())
    sides = [side if side is not None else LEVEL_SIDE for side in session.input.shape[2:]]
    taken: dict[str, float] = {}
    for batch in BUCKETS if session.input.shape[0] is None else BUCKETS[:1]:
        session.run(np.zeros((batch, 3, *sides), np.float32))
        return_freed_memory()
        megabytes = (psutil.Process().memory_info().rss - before) / 1e6
        taken[str(batch)] = round(megabytes) if megabytes >= 10 else round(megabytes, 1)
    return taken


def write(name: str, line: str) -> None:
    text = MANIFEST.read_text("utf-8")
    start = text.index(f'name = "{name}"\n')
    end = text.find("[[variant]]", start)
    entry = text[start:] if end < 0 else text[start:end]
    entry = re.sub(r"memory_mb = .*\n", "", entry).replace("\nreference = ", f"\n{line}\nreference = ", 1)
    MANIFEST.write_text(text[:start] + entry + ("" if end < 0 else text[end:]), "utf-8")


if __name__ == "__main__":
    main()
