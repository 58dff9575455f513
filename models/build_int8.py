"""Builds an int8 form of a net, and writes it only if it answers as the net does and is faster: not part of the app.

    python models/build_int8.py VARIANT IN.onnx OUT.onnx --pictures DIR [DIR...] [--pairs PAIRS.csv] [--models DIR]

IN.onnx is the file of the manifest's VARIANT. Half of the pictures show what its numbers look like, the other half
whether the answers hold; --pairs (file_x, file_y, Decision) adds how well a recogniser still tells people apart. The
exit code is 1 and nothing is written where they do not hold. Faces are found with yolov8-lite-t-face from --models
(default: models/). Needs onnx besides the app.

Convolutions get weights per channel and ranges from pictures (static, QDQ); what comes behind the last layer with
weights stays in floating point. A transformer gets its ranges as it runs (dynamic).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import int8_agreement as agreement
import numpy as np
import onnx
import onnxruntime
from int8_agreement import Check, FaceIn
from onnx import shape_inference, version_converter
from onnxruntime import quantization

from streamapp.evaluation.recognition import read_pairs
from streamapp.faces import Floats
from streamapp.frame import Image
from streamapp.geometry import box_areas
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face, FaceModel, Model, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.onnx_file import OnnxFile
from streamapp.zoo.ort_session import open_ort_session
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Digest, Task, Variant

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
PICTURES = frozenset({".jpg", ".jpeg", ".png"})
MIN_OPSET = 13
"""Of the operator that has a scale per channel."""
MAX_SIDE = 1280
MIN_ITEMS = 8

Item = TypeVar("Item")
Value = TypeVar("Value")


class Batches(quantization.CalibrationDataReader):
    """Hands one input after the other to the calibration."""

    def __init__(self, name: str, inputs: Sequence[Floats]) -> None:
        self._left = iter([{name: given} for given in inputs])

    def get_next(self) -> dict[str, Floats] | None:
        return next(self._left, None)


# -- making it -------------------------------------------------------------------------------------------------------


def quantised(content: bytes, inputs: Sequence[Floats], *, dynamic: bool) -> bytes:
    """The net in int8; `inputs` are what it is calibrated with."""
    with tempfile.TemporaryDirectory(prefix="int8-") as folder:
        plain, prepared, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "done"))
        model = onnx.load_from_string(content)
        if model.opset_import[0].version < MIN_OPSET:
            model = version_converter.convert_version(model, MIN_OPSET)
        onnx.save(model, plain)
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.optimized_model_filepath = str(prepared)
        onnxruntime.InferenceSession(str(plain), settings, providers=["CPUExecutionProvider"])
        model = shape_inference.infer_shapes(onnx.load(prepared))
        for number, node in enumerate(model.graph.node):
            node.name = node.name or f"node{number}"
        model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # else it is asked for
        onnx.save(model, prepared)
        if dynamic:
            quantization.quantize_dynamic(prepared, done, per_channel=True)
        else:
            quantization.quantize_static(
                prepared,
                done,
                Batches(model.graph.input[0].name, inputs),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=last_nodes(model.graph),
            )
        return done.read_bytes()


def last_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes behind which no layer with weights comes, the last such layers among them."""
    leads_to_weights: set[str] = set()
    found = []
    for node in reversed(graph.node):  # a graph's nodes are in the order in which they run
        if leads_to_weights.isdisjoint(node.output):
            found.append(node.name)
        if node.op_type in WEIGHTED or not leads_to_weights.isdisjoint(node.output):
            leads_to_weights.update(node.input)
    return found


# -- pictures ----------------------------------------------------------------------------------------------------------


def read(path: Path) -> Image:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SystemExit(f"{path} is not a picture that can be read")
    scale = min(1.0, MAX_SIDE / max(bgr.shape[:2]))
    small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def face_finder(models: Path) -> Callable[[Path], FaceIn | None]:
    """Finds the largest face of a picture."""
    registry = Registry(load_manifest(), models)
    detector = catalogue.detector("yolov8-lite-t-face")
    session = open_session(registry, registry.manifest.named(detector.spec.variant), SessionOptions())

    def largest(path: Path) -> FaceIn | None:
        rgb = read(path)
        for margin in (0, max(rgb.shape[:2]) // 2):  # a face that fills its picture is found only in a wider one
            wider = np.asarray(cv2.copyMakeBorder(rgb, *(margin,) * 4, cv2.BORDER_CONSTANT), np.uint8)
            found = infer(session, detector, [letterbox(wider, detector.spec.side)])[0]
            if len(found):
                return wider, Face.at(found, int(np.argmax(box_areas(found.boxes))))
        return None

    return largest


# -- one variant -------------------------------------------------------------------------------------------------------


class Build:
    """The int8 form of one net, and how it compares."""

    def __init__(self, variant: Variant, content: bytes) -> None:
        self._variant = variant
        self._content = content
        self.made = b""
        self.checks: list[Check] = []
        self.sessions: tuple[ModelSession, ...] = ()

    def run(
        self, model: Model[Item, Value], items: Sequence[Item], agree: Callable[[list[Value], list[Value]], list[Check]]
    ) -> None:
        if len(items) < MIN_ITEMS:
            raise SystemExit(f"{len(items)} of the pictures can be used; {MIN_ITEMS} are needed")
        shown = [model.preprocess([item]) for item in items[::2]]
        self.made = quantised(self._content, shown, dynamic=self._variant.task is Task.DEEPFAKE)
        contents = (self._content, self.made)
        self.sessions = tuple(
            open_ort_session(self._variant, OnnxFile.of(each, self._variant.file), SessionOptions())
            for each in contents
        )
        before, after = ([infer(s, model, [item])[0] for item in items[1::2]] for s in self.sessions)
        self.checks += [*agree(before, after), agreement.faster(*self.sessions, shown[0])]


def build(variant: Variant, content: bytes, pictures: Sequence[Path], pairs: Path | None, models: Path) -> Build:
    job, name = Build(variant, content), variant.name
    if variant.task is Task.DETECT:
        detector = catalogue.detector(name)
        items = [letterbox(read(path), detector.spec.side) for path in pictures]
        job.run(detector, items, lambda before, after: agreement.boxes_agree(before, after, detector.min_score))
        return job
    find = face_finder(models)
    faces = [face for path in pictures if (face := find(path)) is not None]

    def run(model: FaceModel[Value], agree: Callable[[list[Value], list[Value]], list[Check]]) -> None:
        job.run(model, [model.cut(*face) for face in faces], agree)

    match variant.task:
        case Task.RECOGNISE:
            recogniser = catalogue.recogniser(name)
            run(recogniser, agreement.embeddings_agree)
            if pairs is not None:
                listed = read_pairs(pairs)
                found = {f: find(pairs.parent / f) for f in {f for pair in listed for f in (pair.first, pair.second)}}
                known = {f: face for f, face in found.items() if face is not None}
                job.checks += agreement.people_are_told_apart(listed, known, recogniser, job.sessions)
        case Task.ANTISPOOF:
            run(catalogue.antispoofer(name), agreement.liveness_agrees)
        case Task.GENDER_AGE:
            run(catalogue.gender_age_net(name), agreement.ages_agree)
        case Task.DEEPFAKE:
            run(catalogue.deepfake_detector(name), agreement.deepfake_agrees)
        case _:
            raise SystemExit(f"a net for the task {variant.task} is not built in int8")
    return job


def main() -> None:
    options = argparse.ArgumentParser(prog="build_int8.py", description="Builds an int8 form of a net.")
    options.add_argument("variant")
    options.add_argument("given", type=Path, metavar="IN.onnx")
    options.add_argument("target", type=Path, metavar="OUT.onnx")
    options.add_argument("--pictures", type=Path, nargs="+", required=True, metavar="DIR")
    options.add_argument("--pairs", type=Path, metavar="PAIRS.csv")
    options.add_argument("--models", type=Path, default=Path(__file__).parent, metavar="DIR")
    chosen = options.parse_args()
    variant = load_manifest().named(chosen.variant)
    mismatch = variant.mismatch(Digest.of_file(chosen.given))
    if mismatch:
        raise SystemExit(f"{chosen.given} is not {variant.name}: {mismatch}")
    pictures = sorted(p for folder in chosen.pictures for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    job = build(variant, chosen.given.read_bytes(), pictures, chosen.pairs, chosen.models)
    print(*job.checks, sep="\n")
    if not all(check.holds for check in job.checks):
        sys.exit(f"{chosen.target} is not written: the int8 form of {variant.name} does not hold")
    chosen.target.write_bytes(job.made)
    print(f"{chosen.target}: sha256 {Digest.of_file(chosen.target).sha256}, {len(job.made)} bytes")


if __name__ == "__main__":
    main()
