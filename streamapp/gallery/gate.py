"""Whether a picture shows a face well enough to remember it. Pure; how the limits were found is in docs/gallery.md.

Every refusal has a code for programs and says, for people, what to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.frame import Box
from streamapp.gallery.people import is_sound
from streamapp.geometry import pairwise_iou
from streamapp.results import LivenessState

DOMINANCE = 2.0
"""A face this many times as wide as every other is the one meant."""
SAME_FACE = 0.5
"""Boxes of intersection over union above this are one face, seen twice."""
CONFIRMATIONS = 2
"""So many detectors must see a face: what a single one sees is often a hand or a pattern."""
FULL_SIZE_EYES_PX = 50.0
"""Eyes further apart show recognisers nothing more."""
TURN_COST = 1.6
"""How much of a face is lost to the view as the nose moves aside, per distance between the eyes."""
MIN_QUALITY = 0.05


class RefusalCode(StrEnum):
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    NO_LANDMARKS = "no_landmarks"
    TOO_SMALL = "face_too_small"
    CUT_OFF = "face_cut_off"
    BLURRED = "face_blurred"
    TURNED_AWAY = "face_turned_away"
    UNUSABLE_EMBEDDING = "unusable_embedding"
    SPOOF = "spoof"
    NOT_LIVE = "not_live"


@dataclass(frozen=True, slots=True)
class Refusal:
    code: RefusalCode
    detail: str


@dataclass(frozen=True, slots=True)
class GateRules:
    """must_be_live: only a face that surely is a living person's passes; else every one that is not surely a spoof.
    allow_spoof: neither matters."""

    min_eyes_px: float = 32.0
    """Between the eyes; recognisers see them about 35 apart, so smaller faces would have to be blown up."""
    min_sharpness: float = 0.6
    max_sideways: float = 0.3
    nose_height: tuple[float, float] = (0.3, 0.85)
    max_outside: float = 0.15
    """How much of the face may be beside the picture, as a part of its size."""
    must_be_live: bool = False
    allow_spoof: bool = False


COMPARABLE = GateRules(
    min_eyes_px=12.0,
    min_sharpness=0.0,
    max_sideways=math.inf,
    nose_height=(-math.inf, math.inf),
    max_outside=math.inf,
    allow_spoof=True,
)
"""What it takes to compare a face once, without remembering it: docs/evaluation.md, smallest faces."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a face is turned, by its 5 landmarks; turning the picture does not change it."""

    eyes_px: float
    """Between the eyes."""
    sideways: float
    """How far the nose is from the middle of the eyes along their line, in distances between the eyes: 0 is frontal."""
    nose_height: float
    """Where the nose is between the eyes (0) and the mouth (1): about 0.4 to 0.8, less for who looks up."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceView:
    """One face in one picture, as measured and as the models saw it."""

    box: Box
    score: float
    """0 to 1, of the detector."""
    pose: Pose | None
    """None without landmarks."""
    outside: float
    """How far the box reaches beyond the picture, as a part of its own longer side."""
    sharpness: float
    """0 to 1."""
    embeddings: Mapping[str, Embedding]
    """By recogniser; sound or not."""
    liveness: LivenessState | None
    """None where no model tells."""
    live: float | None
    """0 to 1: how much it looks like a living person."""

    @property
    def quality(self) -> float:
        """Above 0, up to 1: how well it shows the face, by size, pose and sharpness."""
        if self.pose is None:
            return MIN_QUALITY
        size = min(1.0, self.pose.eyes_px / FULL_SIZE_EYES_PX)
        quality = size * (1.0 - TURN_COST * abs(self.pose.sideways)) * self.sharpness
        return max(MIN_QUALITY, quality) if math.isfinite(quality) else MIN_QUALITY


def pose_of(landmarks: Floats) -> Pose | None:
    """From landmarks [5, 2] as in `Detections`; None if they are no face's: not finite, or on one spot or line."""
    if not np.isfinite(landmarks).all():
        return None
    left, right, nose, *mouth = np.asarray(landmarks, np.float64)
    between = right - left
    eyes_px = float(np.hypot(*between))
    if not eyes_px > 0:
        return None
    along, down = between / eyes_px, np.array((-between[1], between[0])) / eyes_px
    middle = (left + right) / 2
    height = float(((mouth[0] + mouth[1]) / 2 - middle) @ down)
    pose = Pose(eyes_px, float((nose - middle) @ along) / eyes_px, float((nose - middle) @ down) / (height or math.nan))
    return pose if height > 0 and math.isfinite(pose.sideways + pose.nose_height) else None


def face_meant(boxes: Floats, seen_by: Sequence[int]) -> int | Refusal:
    """Which of the faces of a picture it is about. boxes: float32 [N, 4]; seen_by: by how many detectors each was
    seen."""
    sure = [index for index, count in enumerate(seen_by) if count >= CONFIRMATIONS]
    if not sure:
        found = "nothing that surely is a face was found" if len(boxes) else "no face was found"
        return Refusal(RefusalCode.NO_FACE, f"{found}; send a picture in which one face is well lit and uncovered")
    widths = boxes[:, 2] - boxes[:, 0]
    main = max(sure, key=lambda index: float(widths[index]))
    again = pairwise_iou(boxes[main : main + 1], boxes)[0] > SAME_FACE
    others = [index for index in sure if not again[index] and widths[index] * DOMINANCE > widths[main]]
    if others:
        count = len(others) + 1
        return Refusal(
            RefusalCode.SEVERAL_FACES,
            f"the picture shows {count} faces of similar size; cut it so that only the one that is meant is left",
        )
    return main


def refusals(view: FaceView, recognisers: Sequence[str], rules: GateRules) -> tuple[Refusal, ...]:
    """All that is wrong with a face. recognisers: those that were asked; each must have given a sound embedding."""
    return (*_of_picture(view, rules), *_of_embeddings(view, recognisers), *_of_liveness(view, rules))


def _of_picture(view: FaceView, rules: GateRules) -> list[Refusal]:
    found = []
    pose = view.pose
    if pose is None:
        detail = "the eyes, nose and mouth cannot be told apart; send a picture that shows all of them"
        found.append(Refusal(RefusalCode.NO_LANDMARKS, detail))
    elif not pose.eyes_px >= rules.min_eyes_px:
        detail = (
            f"the eyes are {pose.eyes_px:.0f} pixels apart; {rules.min_eyes_px:.0f} are needed: come closer, or send "
            "a larger picture"
        )
        found.append(Refusal(RefusalCode.TOO_SMALL, detail))
    if not view.outside <= rules.max_outside:
        detail = "part of the face is beside the picture; leave some room around it"
        found.append(Refusal(RefusalCode.CUT_OFF, detail))
    if not view.sharpness >= rules.min_sharpness:
        detail = (
            f"the face is blurred (sharpness {view.sharpness:.2f}, {rules.min_sharpness:g} is needed): hold still, "
            "give it more light, or clean the lens"
        )
        found.append(Refusal(RefusalCode.BLURRED, detail))
    low, high = rules.nose_height
    if pose is not None and not (abs(pose.sideways) <= rules.max_sideways and low <= pose.nose_height <= high):
        found.append(Refusal(RefusalCode.TURNED_AWAY, "the face is turned away; look straight into the camera"))
    return found


def _of_embeddings(view: FaceView, recognisers: Sequence[str]) -> list[Refusal]:
    broken = [name for name in recognisers if name not in view.embeddings or not is_sound(view.embeddings[name])]
    if not broken or view.pose is None:  # without landmarks there can be none
        return []
    detail = f"{', '.join(broken)} made nothing of the face that could be compared; send another picture"
    return [Refusal(RefusalCode.UNUSABLE_EMBEDDING, detail)]


def _of_liveness(view: FaceView, rules: GateRules) -> list[Refusal]:
    if rules.allow_spoof:
        return []
    score = "" if view.live is None else f" ({view.live:.2f} of 1)"
    if view.liveness is LivenessState.SPOOF:
        detail = (
            f"this looks like a picture of a print or a screen{score}; send a picture of the person, with some room "
            "around the face, or say allow_spoof if you know where it comes from"
        )
        return [Refusal(RefusalCode.SPOOF, detail)]
    if rules.must_be_live and view.liveness is not LivenessState.LIVE:
        detail = f"that a living person is in front of the camera is not sure{score}; more light and a nearer face help"
        if view.liveness is None:
            detail = (
                "no anti-spoofing model is installed, so that this may be a print or a screen; `streamapp models list` "
                "shows them; or say allow_spoof"
            )
        return [Refusal(RefusalCode.NOT_LIVE, detail)]
    return []
