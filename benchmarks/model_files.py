"""The weights benchmarks run: real ones of ../shared/models, else full-size graphs filled with noise."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Digest, Variant

SHARED = Path(__file__).parent.parent.parent / "shared"
GRAPHS = {
    "yolov10n-face": "yolov10n_640",
    "yolov10n-face-480": "yolov10n_480",
    "adaface-ir101": "adaface_ir101",
    "facenet-vggface2": "facenet_inception_resnet_v1",
    "arcface-r100-glint": "arcface_r100",
    "antispoof-mn3": "antispoof_mobilenetv3_128",
    "genderage": "genderage_96",
    "deepfake-vit-v2-fp16": "vit_base_patch16_224",
}
"""Variants without weights here, and the graph of their architecture, in fp32."""


def real_weights(name: str) -> Path | None:
    path = SHARED / "models" / load_manifest().named(name).file
    return path if path.is_file() else None


def filled_graph(name: str, folder: Path) -> Path | None:
    """The full-size graph of a variant, with seeded noise for weights: exact in speed and memory."""
    graph, fill = SHARED / "graphs" / f"{GRAPHS[name]}.graph.onnx", SHARED / "graphs" / "fill.py"
    if not graph.is_file():
        return None
    path = folder / f"{name}.onnx"
    subprocess.run([sys.executable, str(fill), str(graph), str(path)], check=True)
    return path


def registry_of(name: str, path: Path) -> tuple[Registry, Variant]:
    """A registry in which the file at `path` is that variant's."""
    digest = Digest.of_file(path)
    variant = replace(
        load_manifest().named(name), file=path.name, sha256=digest.sha256, sha384=None, size_bytes=digest.size_bytes
    )
    return Registry(Manifest((variant,)), path.parent), variant
