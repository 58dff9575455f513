"""What is known, as it is told: rounded, in plain types, without what is internal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from streamapp.faces import Floats, Mode, Point, Track
from streamapp.pipeline.aggregate import FaceHistory, Findings
from streamapp.pipeline.examiner import Examination
from streamapp.pipeline.merging import SeenFace
from streamapp.results import Analyses, FaceResult, ImageResult, ModelUse, TrackResult
from streamapp.zoo.lineup import System
from streamapp.zoo.spec import Variant

BOX_DECIMALS = 1
SCORE_DECIMALS = 3


def track_result(track: Track, analyses: Analyses) -> TrackResult:
    return TrackResult(
        id=track.id,
        box=rounded_box(track.box),
        score=round(track.score, SCORE_DECIMALS),
        landmarks=_rounded_points(track.landmarks),
        keypoints=_rounded_points(track.keypoints),
        detector=track.detector,
        state=track.state,
        analyses=analyses,
    )


def image_result(
    examination: Examination, size: tuple[int, int], mode: Mode, variants: Mapping[str, Variant]
) -> ImageResult:
    """size: width and height of the picture. variants: all that may have taken part, by name."""
    findings = examination.findings or [Findings()] * len(examination.faces)
    return ImageResult(
        width=size[0],
        height=size[1],
        mode=mode,
        faces=tuple(_face_result(face, of) for face, of in zip(examination.faces, findings, strict=True)),
        models=tuple(_uses(examination, variants)),
        skipped=tuple(examination.skipped),
        timing_ms=rounded_times(examination.timing_ms),
    )


def rounded_times(timing_ms: Mapping[str, float]) -> dict[str, float]:
    return {step: round(value, 3) for step, value in timing_ms.items()}


def rounded_box(box: Iterable[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(value, BOX_DECIMALS) for value in box)
    return x1, y1, x2, y2


def _face_result(face: SeenFace, findings: Findings) -> FaceResult:
    history = FaceHistory()
    history.add(findings, frame=0, at_s=0.0)
    return FaceResult(
        box=rounded_box(face.box.tolist()),
        score=round(face.score, SCORE_DECIMALS),
        landmarks=_rounded_points(_points(face.landmarks)),
        keypoints=_rounded_points(_points(face.keypoints)),
        detector=face.detector,
        seen_by=face.seen_by,
        analyses=history.analyses(now_s=0.0),
    )


def _uses(examination: Examination, variants: Mapping[str, Variant]) -> Iterable[ModelUse]:
    order = list(System)
    runs = [run for run in examination.runs.values() if run.variant in variants]
    for run in sorted(runs, key=lambda run: order.index(System.of(variants[run.variant].task))):
        variant = variants[run.variant]
        system = System.of(variant.task)
        yield ModelUse(system, variant.name, variant.licence, variant.commercial_use, run.provider)


def _points(points: Floats | None) -> tuple[Point, ...] | None:
    return None if points is None else tuple((float(x), float(y)) for x, y in np.asarray(points))


def _rounded_points(points: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
    return None if points is None else tuple((round(x, BOX_DECIMALS), round(y, BOX_DECIMALS)) for x, y in points)
