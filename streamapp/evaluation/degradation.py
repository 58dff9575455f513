"""Pictures made worse on purpose: as if taken from afar, out of focus or in the dark."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamapp.frame import Image
from streamapp.zoo.base import Face

_BLUR_FACE_PX = 112


@dataclass(frozen=True, slots=True)
class Degradation:
    """face_px: width in pixels to which wider faces are scaled down first. blur: standard deviation of a Gaussian, in
    pixels of a face 112 wide. noise: standard deviation of the grey levels added, of 255."""

    face_px: int | None = None
    blur: float = 0.0
    noise: float = 0.0

    def __str__(self) -> str:
        parts = (
            f"faces scaled down to {self.face_px} px" if self.face_px else "",
            f"blur {self.blur:g}" if self.blur else "",
            f"noise {self.noise:g}" if self.noise else "",
        )
        return ", ".join(part for part in parts if part)

    def applied(self, rgb: Image, face: Face, rng: np.random.Generator) -> tuple[Image, Face]:
        """The picture made worse, and where the face is in it."""
        # Noise of the same size means the same only on faces of the same size.
        width = self.face_px or (_BLUR_FACE_PX if self.blur or self.noise else None)
        rgb, face = _shrunk(rgb, face, width)
        if self.blur:
            deviation = self.blur * float(face.box[2] - face.box[0]) / _BLUR_FACE_PX
            rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), deviation), np.uint8)
        if self.noise:
            rgb = np.clip(rgb + rng.normal(0, self.noise, rgb.shape), 0, 255).astype(np.uint8)
        return rgb, face


def _shrunk(rgb: Image, face: Face, face_px: int | None) -> tuple[Image, Face]:
    width = float(face.box[2] - face.box[0])
    if face_px is None or width <= face_px:
        return rgb, face
    scale = face_px / width
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    landmarks = None if face.landmarks is None else (face.landmarks * np.float32(scale)).astype(np.float32)
    return np.asarray(small, np.uint8), Face((face.box * np.float32(scale)).astype(np.float32), landmarks)
