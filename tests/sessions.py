"""Sessions of real weights, and pictures with faces, for tests of models."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamapp.faces import Detections
from streamapp.frame import Image
from streamapp.geometry import box_areas
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from tests.shared_data import shared_file
from tests.weights import weights_of

FULL_SIZE = {
    "yolov10n-face": "yolov10n_640",
    "yolov10n-face-480": "yolov10n_480",
    "adaface-ir101": "adaface_ir101",
    "facenet-vggface2": "facenet_inception_resnet_v1",
    "arcface-r100-glint": "arcface_r100",
    "antispoof-mn3": "antispoof_mobilenetv3_128",
    "genderage": "genderage_96",
    "deepfake-vit-v2-int8": "vit_base_patch16_224",
}
"""Variants without weights here: the graph that has their operators and sizes."""


@cache
def session_of(name: str) -> ModelSession:
    """Real weights, verified; skips the calling test, by name, where they are absent."""
    variant, path = weights_of(name)
    return catalogue.load(Registry(load_manifest(), path.parent), variant, SessionOptions())


def full_size_graph(name: str, folder: Path) -> Path:
    """The full-size graph of a variant, filled with seeded noise; skips the calling test where it cannot be made."""
    pytest.importorskip("onnx")
    graph = shared_file(f"graphs/{FULL_SIZE[name]}.graph.onnx")
    target = folder / f"{name}.onnx"
    command = [sys.executable, str(shared_file("graphs/fill.py")), str(graph), str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target


@cache
def picture(relative: str) -> Image:
    """An RGB picture of the shared media."""
    bgr = cv2.imread(str(shared_file(f"media/{relative}")), cv2.IMREAD_COLOR)
    assert bgr is not None
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    rgb.setflags(write=False)
    return rgb


def faces_in(rgb: Image) -> Detections:
    """Every face, with landmarks."""
    model = catalogue.detector("yolov8-lite-t-face")
    return infer(session_of("yolov8-lite-t-face"), model, [letterbox(rgb, 640)])[0]


def largest_face(rgb: Image) -> Face:
    found = faces_in(rgb)
    return Face.at(found, int(np.argmax(box_areas(found.boxes))))
