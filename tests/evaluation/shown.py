"""Faces in frames of a clip, told and looked at as a test wants."""

from __future__ import annotations

from collections.abc import Mapping

from streamapp.evaluation.crop_log import Crop, Nearest
from streamapp.evaluation.shown_faces import ShownFace, Told
from streamapp.results import IdentityState

WAY = "crops"
ACCEPT = 4.0
FRAME_S = 0.5
OPEN: Told = (IdentityState.UNDECIDED, None)
UNKNOWN: Told = (IdentityState.UNKNOWN, None)


def named(name: str) -> Told:
    return IdentityState.IDENTIFIED, name


def crop(name: str = "", level: float = 0.0, labels: Mapping[str, str] | None = None) -> Crop:
    """Most like `name`; like nobody without one."""
    return Crop(1, 0, labels or {}, True, Nearest(name, level, ACCEPT) if name else None)


def face(
    frame: int,
    told: Told | None,
    of: Crop | None = None,
    *,
    truth: str | None = "Ada",
    track: int | None = 1,
    person: str = "person 1",
    clip: str = "lobby",
    labels: Mapping[str, str] | None = None,
    is_there: bool = True,
) -> ShownFace:
    at_s = frame * FRAME_S
    crops = {} if of is None else {WAY: of}
    return ShownFace(clip, person, track, truth, is_there, at_s, FRAME_S, int(at_s // 2), told, labels or {}, crops)
