"""The whole of profile full without its weights: the real graphs filled with noise, under the names of their variants.

Right in speed, memory and shapes, and says nothing of faces. MTCNN and the screener are real.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks.live import link_all
from benchmarks.model_files import GRAPHS
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task, Variant

NOISE = (
    "yolov10n-face",
    "adaface-ir101",
    "facenet-vggface2",
    "arcface-r100-glint",
    "antispoof-mn3",
    "genderage",
    "deepfake-vit-v2-fp16",
)
"""All of the profile that analyses faces, and its detector."""
REAL = (
    "blazeface-short-range",
    "blazeface-short-range-tasks",
    "mtcnn-pnet",
    "mtcnn-rnet",
    "mtcnn-onet",
)
_LABELS = {"id2label": {"0": "Realism", "1": "Deepfake"}}


def noise_manifest() -> Manifest:
    """The app's, where the noise has no checksum of its own: it is pinned when it is made."""
    return Manifest(tuple(map(_unpinned, load_manifest().variants)))


def _unpinned(variant: Variant) -> Variant:
    if variant.name not in NOISE and variant.task is not Task.DEEPFAKE_LABELS:
        return variant
    return replace(variant, sha256=None, sha384=None, size_bytes=None)


def missing_graphs(shared: Path | None) -> list[str]:
    """What is not there of what `build` needs."""
    if shared is None:
        return ["the shared test data"]
    needed = [shared / "graphs" / f"{GRAPHS[name]}.graph.onnx" for name in NOISE] + [shared / "graphs" / "fill.py"]
    files = {variant.name: variant.file for variant in load_manifest().variants}
    needed += [shared / "models" / files[name] for name in REAL if name.startswith("mtcnn")]
    return [str(path.relative_to(shared)) for path in needed if not path.is_file()]


def build(shared: Path, folder: Path) -> None:
    """Makes the files: 1 GB, in half a minute on two cores."""
    manifest = noise_manifest()

    def fill(name: str) -> None:
        graph, target = shared / "graphs" / f"{GRAPHS[name]}.graph.onnx", folder / manifest.named(name).file
        subprocess.run([sys.executable, str(shared / "graphs" / "fill.py"), str(graph), str(target)], check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, NOISE))
    for name in REAL:
        file = manifest.named(name).file
        if (shared / "models" / file).is_file():
            (folder / file).symlink_to((shared / "models" / file).resolve())
    labels = manifest.for_task(Task.DEEPFAKE_LABELS)[0]
    (folder / labels.file).write_text(json.dumps(_LABELS), "utf-8")
    registry = Registry(manifest, folder)
    for variant in (*map(manifest.named, NOISE), labels):
        registry.pull((variant,), mirror=None)  # it is there, so this only notes its checksum


@contextmanager
def installed(built: Path) -> Iterator[Path]:
    """For the length of the block the app takes this for its manifest; gives a models folder of links, in which nothing
    has been measured yet."""
    manifest = noise_manifest()
    with (
        TemporaryDirectory(prefix="streamapp-noise-") as folder,
        patch.object(Registry, "from_settings", lambda settings: Registry(manifest, settings.models.dir)),
    ):
        link_all([built], Path(folder))
        yield Path(folder)
