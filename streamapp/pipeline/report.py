"""What is known, as it is told: rounded, in plain types, without what is internal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from streamapp.faces import Floats, Mode, Point, Track
from streamapp.pipeline.aggregate import FaceHistory, Findings, Moment
from streamapp.pipeline.examiner import Examination
from streamapp.pipeline.identities import Identity
from streamapp.pipeline.keyframes import Reason
from streamapp.pipeline.merging import SeenFace
from streamapp.results import Analyses, FaceResult, ImageResult, LivenessState, ModelUse, Skipped, TrackResult
from streamapp.zoo.lineup import System
from streamapp.zoo.spec import Variant

BOX_DECIMALS = 1
SCORE_DECIMALS = 3


def track_result(track: Track, analyses: Analyses, skipped: Mapping[str, str]) -> TrackResult:
    return TrackResult(
        id=track.id,
        box=rounded_box(track.box),
        score=round(track.score, SCORE_DECIMALS),
        landmarks=_rounded_points(track.landmarks),
        keypoints=_rounded_points(track.keypoints),
        detector=track.detector,
        state=track.state,
        analyses=analyses,
        skipped=skipped,
    )


def image_result(
    examination: Examination,
    size: tuple[int, int],
    mode: Mode,
    variants: Mapping[str, Variant],
    identities: Sequence[Identity | None] = (),
) -> ImageResult:
    """size: width and height of the picture. variants: all that may have taken part, by name. identities: who each face
    is, where faces were analysed."""
    findings = examination.findings or [Findings()] * len(examination.faces)
    return ImageResult(
        width=size[0],
        height=size[1],
        mode=mode,
        faces=tuple(
            _face_result(face, of, who)
            for face, of, who in zip(
                examination.faces, findings, identities or [None] * len(examination.faces), strict=True
            )
        ),
        models=tuple(_uses(examination, variants)),
        skipped=tuple(_in_order(examination.skipped)),
        timing_ms=rounded_times(examination.timing_ms),
    )


def rounded_times(timing_ms: Mapping[str, float]) -> dict[str, float]:
    return {step: round(value, 3) for step, value in timing_ms.items()}


def rounded_box(box: Iterable[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(value, BOX_DECIMALS) for value in box)
    return x1, y1, x2, y2


def liveness_of(findings: Findings) -> LivenessState | None:
    """What one crop says of the face being a living person's; None if no model was asked."""
    return _history(findings).liveness


def _history(findings: Findings) -> FaceHistory:
    history = FaceHistory()
    history.add(findings, Moment(frame=0, pts_s=0.0, reason=Reason.ASKED))
    return history


def _face_result(face: SeenFace, findings: Findings, identity: Identity | None) -> FaceResult:
    return FaceResult(
        box=rounded_box(face.box.tolist()),
        score=round(face.score, SCORE_DECIMALS),
        landmarks=_rounded_points(_points(face.landmarks)),
        keypoints=_rounded_points(_points(face.keypoints)),
        detector=face.detector,
        seen_by=face.seen_by,
        analyses=_history(findings).analyses(now_s=0.0, identity=identity),
    )


def _uses(examination: Examination, variants: Mapping[str, Variant]) -> Iterable[ModelUse]:
    """In the order of the systems, whichever answered first."""
    order = list(System)
    for variant in sorted(variants.values(), key=lambda variant: order.index(System.of(variant.task))):
        run = examination.runs.get(variant.name)
        if run is not None:
            system = System.of(variant.task)
            yield ModelUse(system, variant.name, variant.licence, variant.commercial_use, run.provider)


def _in_order(skipped: Iterable[Skipped]) -> list[Skipped]:
    order = list(System)
    return sorted(skipped, key=lambda s: (order.index(System(s.task)), s.model or "", -1 if s.face is None else s.face))


def _points(points: Floats | None) -> tuple[Point, ...] | None:
    return None if points is None else tuple((float(x), float(y)) for x, y in np.asarray(points))


def _rounded_points(points: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
    return None if points is None else tuple((round(x, BOX_DECIMALS), round(y, BOX_DECIMALS)) for x, y in points)
