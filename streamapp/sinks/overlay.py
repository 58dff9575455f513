"""Burns tracks into a picture: boxes, ids, scores, points and what is known of each face, straight into its YUV planes.

Drawing in YUV420P needs no conversion to RGB and back; what the encoders take is what decoders give.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamapp.faces import TrackState
from streamapp.frame import PixelReader
from streamapp.results import Analyses, LivenessState, TrackResult
from streamapp.sinks.base import Output
from streamapp.sinks.veil import is_named

Plane = NDArray[np.uint8]

PALETTE_YUV = (
    (168, 44, 136),  # green
    (196, 22, 156),  # yellow
    (150, 168, 60),  # cyan
    (136, 96, 200),  # orange
    (128, 176, 164),  # violet
    (160, 120, 190),  # salmon
)
"""Colours as (Y, U, V), BT.601; a track keeps the one of its id."""
_TEXT_LUMA = 235
_PLATE_LUMA = 24
_NEUTRAL = 128
_DASH_PX = 8
_LIVENESS = {LivenessState.LIVE: "live", LivenessState.SPOOF: "spoof?", LivenessState.UNDECIDED: "live?"}


class OverlayPainter:
    """Draws one output after another. Keeps its scaler; owned by one thread."""

    def __init__(self) -> None:
        self._reader = PixelReader()

    def paint(self, output: Output) -> VideoFrame:
        """A new yuv420p picture, even-sized, with the tracks drawn in. `pts` and `time_base` are the frame's."""
        source = output.frame.video
        picture = self._reader.yuv420p(output.frame)
        width, height = picture.width, picture.height
        pixels: Plane = np.ascontiguousarray(picture.to_ndarray(), dtype=np.uint8).reshape(-1)
        size = width * height
        luma = pixels[:size].reshape(height, width)
        chroma_u = pixels[size : size * 5 // 4].reshape(height // 2, width // 2)
        chroma_v = pixels[size * 5 // 4 :].reshape(height // 2, width // 2)
        for track in output.result.tracks:
            hidden = output.veiled is not None and not is_named(track.analyses)
            _paint_track(luma, chroma_u, chroma_v, replace(track, keypoints=None, landmarks=None) if hidden else track)
        painted = VideoFrame.from_ndarray(pixels.reshape(height * 3 // 2, width), format="yuv420p")
        painted.pts = source.pts
        if source.time_base is not None:
            painted.time_base = source.time_base
        painted.colorspace, painted.color_range = source.colorspace, source.color_range
        return painted


def _paint_track(luma: Plane, chroma_u: Plane, chroma_v: Plane, track: TrackResult) -> None:
    height, width = luma.shape
    if not np.isfinite(track.box).all():
        return
    y, u, v = PALETTE_YUV[track.id % len(PALETTE_YUV)]
    limits = (width, height, width, height)
    x1, y1, x2, y2 = (round(min(max(value, -2.0), limit + 2.0)) for value, limit in zip(track.box, limits, strict=True))
    thickness = max(2, height // 240)
    dashed = track.state is TrackState.COASTING
    for plane, value, shift in ((luma, y, 0), (chroma_u, u, 1), (chroma_v, v, 1)):
        corners = (x1 >> shift, y1 >> shift), (x2 >> shift, y2 >> shift)
        weight = max(1, thickness >> shift)
        if dashed:
            _dashed_rectangle(plane, *corners, value, weight, _DASH_PX >> shift)
        else:
            cv2.rectangle(plane, *corners, value, weight)
        for x, dot_y in track.keypoints or track.landmarks or ():
            cv2.circle(plane, (round(x) >> shift, round(dot_y) >> shift), weight, value, cv2.FILLED)
    _paint_label(luma, chroma_u, chroma_v, f"#{track.id} {track.score:.2f}", (x1, y1))
    caption = caption_of(track.analyses)
    if caption:
        _paint_label(luma, chroma_u, chroma_v, caption, (x1, y2), below=True)


def caption_of(analyses: Analyses) -> str:
    """The analyses of a face in one line of ASCII, as web/captions.js has it; empty if there are none."""
    parts = []
    if identity := analyses.get("identity"):
        parts.append((identity.name or "who?").encode("ascii", "replace").decode())
    if liveness := analyses.get("liveness"):
        parts.append(_LIVENESS[liveness.state])
    if gender_age := analyses.get("gender_age"):
        parts.append(f"{gender_age.gender[0].upper()} ~{gender_age.age_years:.0f}")
    if deepfake := analyses.get("deepfake"):
        parts.append(f"fake {deepfake.band}")
    return ", ".join(parts)


def _paint_label(
    luma: Plane, chroma_u: Plane, chroma_v: Plane, text: str, corner: tuple[int, int], *, below: bool = False
) -> None:
    height, width = luma.shape
    scale = max(0.4, height / 1000)
    (text_width, text_height), descent = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = min(max(corner[0], 0), max(0, width - text_width - 8))
    plate = text_height + descent + 6
    bottom = corner[1] if corner[1] > plate and not below else min(height, corner[1] + plate)
    top = bottom - plate
    cv2.rectangle(luma, (x, top), (x + text_width + 8, bottom), _PLATE_LUMA, cv2.FILLED)
    for plane in (chroma_u, chroma_v):
        cv2.rectangle(plane, (x >> 1, top >> 1), ((x + text_width + 8) >> 1, bottom >> 1), _NEUTRAL, cv2.FILLED)
    at = (x + 4, bottom - descent - 2)
    cv2.putText(luma, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT_LUMA, 1, cv2.LINE_AA)


def _dashed_rectangle(
    plane: Plane, first: tuple[int, int], second: tuple[int, int], value: int, weight: int, dash: int
) -> None:
    (x1, y1), (x2, y2) = first, second
    for x in range(x1, x2, dash * 2):
        for y in (y1, y2):
            cv2.line(plane, (x, y), (min(x + dash, x2), y), value, weight)
    for y in range(y1, y2, dash * 2):
        for x in (x1, x2):
            cv2.line(plane, (x, y), (x, min(y + dash, y2)), value, weight)
