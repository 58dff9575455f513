"""The best recent crop of each track: models are shown that, not whatever frame came when they had time.

A shot is as good as its face is large, turned to the camera, sharp and surely a face; it loses half of that every
HALF_LIFE_S, so that what is shown is recent too. Owned by the stream's screening thread; shots themselves are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamapp.faces import Track, TrackState
from streamapp.frame import Box, Frame, Image, Letterbox, PixelReader
from streamapp.pipeline.leaps import LeapWatch

CONTEXT = 2.8
"""A shot is so many times as wide as the face: what anti-spoofing nets want to see of its surroundings."""
MAX_SIDE = 448
"""Pixels; faces are then 160 wide, more than any of the models takes in."""
MIN_SIDE = 32
HALF_LIFE_S = 1.0
MIN_GAIN = 1.3
"""A shot is replaced by one so much better: of a face that looks the same, two or three a second are taken."""
MAX_SHOTS = 16
FULL_SIZE_PX = 112
"""Larger faces show nothing more."""
NO_POINTS = 0.5
"""How much a face is taken to be turned to the camera where there are no points to tell."""
SHARP = 60.0
"""Variance of the Laplacian at which a face is half sharp, on a face of SHARPNESS_SIDE pixels."""
SHARPNESS_SIDE = 64
MIN_SHARPNESS = 0.2
"""What is hoped for of the next shot where the last one was blurred."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceShot:
    """A face with its surroundings. Owns its pixels: RGB. `box` is x1 y1 x2 y2 in them."""

    track_id: int
    frame: int
    pts_s: float
    pixels: Image
    box: Box
    score: float
    quality: float
    """0 to 1, when it was taken."""
    sharpness: float

    def worth(self, now_s: float) -> float:
        """Its quality less what it lost by age."""
        return float(self.quality * 0.5 ** (max(0.0, now_s - self.pts_s) / HALF_LIFE_S))


class ShotBook:
    """The best shot of each track of one stream."""

    def __init__(self) -> None:
        self._shots: dict[int, FaceShot] = {}
        self._leaps = LeapWatch()
        self._tried: dict[int, int] = {}
        """The frame of which a shot of each track was last taken, whether it was kept or not."""

    def consider(self, frame: Frame, tracks: Sequence[Track], reader: PixelReader) -> Mapping[int, FaceShot]:
        """Takes one shot, as each costs a millisecond: of those tracks that this frame shows better than their shots so
        far, the one whose turn it is, and of new ones the best. Gives the best of each track there is."""
        alive = {track.id for track in tracks} - self._leaps.observe(tracks)
        self._shots = {track_id: shot for track_id, shot in self._shots.items() if track_id in alive}
        seen = [track for track in tracks if track.state is TrackState.CONFIRMED]
        promising = [(gain, track) for track in seen if (gain := self._gain(track, frame.pts_s)) > MIN_GAIN]
        if promising:
            turn = min(promising, key=lambda pair: (self._tried.get(pair[1].id, -1), -pair[0], pair[1].id))[1]
            self._tried = {track.id: self._tried.get(track.id, -1) for track in tracks} | {turn.id: frame.index}
            self._take(frame, turn, reader)
        return dict(self._shots)

    def _take(self, frame: Frame, track: Track, reader: PixelReader) -> None:
        before = self._shots.get(track.id)
        if before is None and len(self._shots) >= MAX_SHOTS:
            return
        shot = _taken(frame, track, reader)
        if before is None or shot.quality > before.worth(frame.pts_s):
            self._shots[track.id] = shot

    def _gain(self, track: Track, now_s: float) -> float:
        """How much better a shot of this track would be than the one there is, if it were as sharp."""
        shot = self._shots.get(track.id)
        if shot is None:
            return float("inf")
        return appearance(track) * max(shot.sharpness, MIN_SHARPNESS) / max(shot.worth(now_s), 1e-6)


def appearance(track: Track) -> float:
    """0 to 1: how well a track shows its face, by all but sharpness."""
    x1, y1, x2, y2 = track.box
    size = min(1.0, max(0.0, min(x2 - x1, y2 - y1)) / FULL_SIZE_PX)
    return size * frontality(track) * max(0.0, min(1.0, track.score))


def frontality(track: Track) -> float:
    """0.1 to 1: how much a face is turned to the camera, by where BlazeFace's nose tip lies between the eyes."""
    if track.keypoints is None:
        return NO_POINTS
    right, left, nose = (np.array(point) for point in track.keypoints[:3])
    between = left - right
    span = float(between @ between)
    if not span > 0:
        return NO_POINTS
    along = float((nose - (left + right) / 2) @ between) / span
    return max(0.1, 1.0 - 1.6 * abs(along))


def sharpness(pixels: Image, box: Box) -> float:
    """0 to 1, of the face in an RGB picture, by the variance of the Laplacian (Pech-Pacheco et al., 2000)."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (round(side) for side in box)
    face = pixels[max(0, y1) : min(height, y2), max(0, x1) : min(width, x2)]
    if not face.size:
        return 0.0
    grey = cv2.cvtColor(cv2.resize(face, (SHARPNESS_SIDE,) * 2, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return variance / (variance + SHARP)


def _taken(frame: Frame, track: Track, reader: PixelReader) -> FaceShot:
    x1, y1, x2, y2 = track.box
    side = int(min(MAX_SIDE, max(MIN_SIDE, round(max(x2 - x1, y2 - y1) * CONTEXT))))
    region = Letterbox.around(track.box, CONTEXT, side)
    pixels = reader.sampled_rgb(frame, region, side)
    left, top = (x1 + region.margin_x) / region.scale, (y1 + region.margin_y) / region.scale
    right, bottom = (x2 + region.margin_x) / region.scale, (y2 + region.margin_y) / region.scale
    box = (left, top, right, bottom)
    sharp = sharpness(pixels, box)
    return FaceShot(track.id, frame.index, frame.pts_s, pixels, box, track.score, appearance(track) * sharp, sharp)
