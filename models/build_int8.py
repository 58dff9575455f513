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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import shape_inference, version_converter
from onnxruntime import quantization

from streamapp.evaluation.recognition import Pair, read_pairs
from streamapp.evaluation.statistics import accept_rate_at, auc, separation
from streamapp.faces import Detections, Floats
from streamapp.findings import DeepfakeScore, Embedding, GenderAge, Liveness
from streamapp.frame import Image
from streamapp.geometry import box_areas, pairwise_iou
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face, FaceModel, Model, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.ort_session import open_ort_session
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Digest, Task, Variant

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
PICTURES = frozenset({".jpg", ".jpeg", ".png"})
MIN_OPSET = 13
"""Of the operator that has a scale per channel."""
MAX_SIDE = 1280
SURE = 0.1
"""A box so far above the detector's threshold must not be lost; nearer to it any change may tip it."""
SAME_BOX = 0.5
ROUNDS = 40
MIN_ITEMS = 8


FaceIn = tuple[Image, Face]
Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which the int8 form is held against the net."""

    what: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'ok  ' if self.holds else 'FAIL'}  {self.what}: {self.value:.4f} ({sign} {self.limit:g})"


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


# -- holding it against the net ----------------------------------------------------------------------------------------


def embeddings_agree(before: Sequence[Embedding], after: Sequence[Embedding]) -> list[Check]:
    cosines = [float(a.vector @ b.vector) for a, b in zip(before, after, strict=True)]
    return [
        Check("cosine between the two, median", median(cosines), 0.98),
        Check("cosine between the two, least", min(cosines), 0.95),
    ]


def liveness_agrees(before: Sequence[Liveness], after: Sequence[Liveness]) -> list[Check]:
    return scores_agree([a.live for a in before], [b.live for b in after])


def deepfake_agrees(before: Sequence[DeepfakeScore], after: Sequence[DeepfakeScore]) -> list[Check]:
    return scores_agree([a.fake for a in before], [b.fake for b in after])


def scores_agree(before: Sequence[float], after: Sequence[float]) -> list[Check]:
    off = np.abs(np.subtract(before, after))
    same = np.equal(np.greater(before, 0.5), np.greater(after, 0.5))
    return [
        Check("same side of one half", float(same.mean()), 0.98),
        Check("mean difference of the score", float(off.mean()), 0.02, at_least=False),
    ]


def ages_agree(before: Sequence[GenderAge], after: Sequence[GenderAge]) -> list[Check]:
    pairs = list(zip(before, after, strict=True))
    years = [abs(a.age_years - b.age_years) for a, b in pairs]
    return [
        Check("same gender", float(np.mean([a.gender is b.gender for a, b in pairs])), 0.98),
        Check("mean difference in years", float(np.mean(years)), 1.0, at_least=False),
    ]


def boxes_agree(before: Sequence[Detections], after: Sequence[Detections], min_score: float) -> list[Check]:
    overlaps, kept, real = [], [], []
    for a, b in zip(before, after, strict=True):
        iou = pairwise_iou(a.boxes, b.boxes)
        best, best_after = iou.max(axis=1, initial=0.0), iou.max(axis=0, initial=0.0)
        kept += list(best[a.scores >= min_score + SURE] >= SAME_BOX)
        real += list(best_after[b.scores >= min_score + SURE] >= SAME_BOX)
        overlaps += list(best[best >= SAME_BOX])
    return [
        Check(f"share of {len(kept)} sure boxes kept", float(np.mean(kept)), 0.98),
        Check(f"share of {len(real)} sure new boxes that were there", float(np.mean(real)), 0.98),
        Check("their overlap, mean", float(np.mean(overlaps)), 0.95),
    ]


def people_are_told_apart(
    pairs: Sequence[Pair], faces: Mapping[str, FaceIn], model: FaceModel[Embedding], both: Sequence[ModelSession]
) -> list[Check]:
    """AUC, TAR at FAR 1 % and separation of the net and of its int8 form, which may lose next to nothing."""
    used = [pair for pair in pairs if pair.first in faces and pair.second in faces]
    same = np.array([pair.same for pair in used], bool)
    reached = []
    for session in both:
        found = {name: infer(session, model, [model.cut(*face)])[0].vector for name, face in faces.items()}
        scores = np.array([found[pair.first] @ found[pair.second] for pair in used], np.float64)
        reached.append((auc(scores, same), accept_rate_at(0.01)(scores, same), separation(scores, same)))
    (auc_before, tar_before, gap_before), (auc_after, tar_after, gap_after) = reached
    return [
        Check(f"AUC on {len(used)} pairs, {auc_before:.4f} before", auc_after, auc_before - 0.002),
        Check(f"TAR at FAR 1 % on them, {tar_before:.4f} before", tar_after, tar_before - 0.03),
        Check(f"separation d' on them, {gap_before:.3f} before", gap_after, 0.97 * gap_before),
    ]


def faster(before: ModelSession, after: ModelSession, given: Floats) -> Check:
    """In turns, on one thread."""
    taken_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for times, session in zip(taken_s, (before, after), strict=True):
            start = time.perf_counter()
            session.run(given)
            times.append(time.perf_counter() - start)
    old_s, new_s = map(median, taken_s)
    return Check(f"times as fast ({1e3 * old_s:.2f} ms before, {1e3 * new_s:.2f} ms after)", old_s / new_s, 1.1)


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
        self.sessions = tuple(open_ort_session(self._variant, each, SessionOptions()) for each in contents)
        before, after = ([infer(s, model, [item])[0] for item in items[1::2]] for s in self.sessions)
        self.checks += [*agree(before, after), faster(*self.sessions, shown[0])]


def build(variant: Variant, content: bytes, pictures: Sequence[Path], pairs: Path | None, models: Path) -> Build:
    job, name = Build(variant, content), variant.name
    if variant.task is Task.DETECT:
        detector = catalogue.detector(name)
        items = [letterbox(read(path), detector.spec.side) for path in pictures]
        job.run(detector, items, lambda before, after: boxes_agree(before, after, detector.min_score))
        return job
    find = face_finder(models)
    faces = [face for path in pictures if (face := find(path)) is not None]

    def run(model: FaceModel[Value], agree: Callable[[list[Value], list[Value]], list[Check]]) -> None:
        job.run(model, [model.cut(*face) for face in faces], agree)

    match variant.task:
        case Task.RECOGNISE:
            recogniser = catalogue.recogniser(name)
            run(recogniser, embeddings_agree)
            if pairs is not None:
                listed = read_pairs(pairs)
                found = {f: find(pairs.parent / f) for f in {f for pair in listed for f in (pair.first, pair.second)}}
                known = {f: face for f, face in found.items() if face is not None}
                job.checks += people_are_told_apart(listed, known, recogniser, job.sessions)
        case Task.ANTISPOOF:
            run(catalogue.antispoofer(name), liveness_agrees)
        case Task.GENDER_AGE:
            run(catalogue.gender_age_net(name), ages_agree)
        case Task.DEEPFAKE:
            run(catalogue.deepfake_detector(name), deepfake_agrees)
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
