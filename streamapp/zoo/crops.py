"""From pictures to a model's input: whole pictures letterboxed, faces cut out, pixels packed. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Floats
from streamapp.frame import Image
from streamapp.zoo.base import Crop, Face, Letterboxed, require_square

_GREY = (114, 114, 114)
"""What YOLO was trained to see beside a picture."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How uint8 RGB pixels become a net's input: (pixel - mean) / scale, channels first."""

    mean: tuple[float, float, float] | float
    """In the order of the net's channels."""
    scale: tuple[float, float, float] | float
    bgr: bool = False
    """Whether the net wants blue first."""

    def pack(self, crops: Sequence[Crop], side: int, variant: str) -> Floats:
        """float32 [N, 3, side, side]. Raises ModelInputInvalid for a crop of another size."""
        for crop in crops:
            require_square(crop.pixels, side, variant)
        return self.pack_pixels([crop.pixels for crop in crops], side)

    def pack_pixels(self, pictures: Sequence[Image], side: int) -> Floats:
        """float32 [N, 3, side, side] from pictures of that size."""
        even = isinstance(self.mean, float) and isinstance(self.scale, float)
        if even and isinstance(self.mean, float) and isinstance(self.scale, float):
            mean = (self.mean,) * 3
            packed = cv2.dnn.blobFromImages(pictures, 1 / self.scale, mean=mean, swapRB=self.bgr, ddepth=cv2.CV_32F)
            return np.asarray(packed, np.float32)
        batch = np.empty((len(pictures), 3, side, side), np.float32)
        for slot, picture in zip(batch, pictures, strict=True):
            np.copyto(slot, picture[:, :, :: -1 if self.bgr else 1].transpose(2, 0, 1))
        batch -= np.asarray(self.mean, np.float32).reshape(-1, 1, 1)
        batch *= (1 / np.asarray(self.scale, np.float32)).reshape(-1, 1, 1)
        return batch


def letterbox(rgb: Image, side: int) -> Letterboxed:
    """A whole RGB picture, aspect kept, in the middle of a grey square."""
    height, width = rgb.shape[:2]
    scale = side / max(width, height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (side - inner_width) // 2, (side - inner_height) // 2
    square = np.empty((side, side, 3), np.uint8)
    inner = square[top : top + inner_height, left : left + inner_width]
    if (inner_height, inner_width) == (height, width):
        inner[:] = rgb
    else:
        inner[:] = cv2.resize(rgb, (inner_width, inner_height))
    square[:top], square[top + inner_height :] = _GREY, _GREY
    square[:, :left], square[:, left + inner_width :] = _GREY, _GREY
    return Letterboxed(square, scale, left, top)


def square_crop(rgb: Image, face: Face, factor: float, side: int, *, replicate: bool = False) -> Crop:
    """The square around a face's box whose side is `factor` times the box's longer one, scaled to `side`.

    Beside the picture it is black, or repeats the picture's edge. Raises ModelInputInvalid for a box without area, or
    beside the picture."""
    x1, y1, x2, y2 = checked_box(rgb, face)
    scale = side / (max(x2 - x1, y2 - y1) * factor)
    return Crop(_warped(rgb, scale, ((x1 + x2) / 2, (y1 + y2) / 2), side, replicate))


def box_crop(rgb: Image, face: Face, side: int) -> Crop:
    """A face's box itself, cut at the edges of the picture and stretched to a square."""
    x1, y1, x2, y2 = checked_box(rgb, face)
    height, width = rgb.shape[:2]
    left, top = max(0, round(x1)), max(0, round(y1))
    right, bottom = min(width, max(round(x2), left + 1)), min(height, max(round(y2), top + 1))
    return resized(rgb[top:bottom, left:right], side)


def resized(rgb: Image, side: int) -> Crop:
    """A picture stretched to a square; a fresh copy."""
    averaging = cv2.INTER_AREA if side < min(rgb.shape[:2]) else cv2.INTER_LINEAR
    return Crop(np.asarray(cv2.resize(rgb, (side, side), interpolation=averaging), np.uint8))


def checked_box(rgb: Image, face: Face) -> tuple[float, float, float, float]:
    """A face's box. Raises ModelInputInvalid if it is not finite, has no area or lies beside the picture."""
    x1, y1, x2, y2 = (float(side) for side in face.box)
    height, width = rgb.shape[:2]
    if not (x1 < x2 and y1 < y2 and x1 < width and y1 < height and x2 > 0 and y2 > 0):  # not a number fails too
        raise ModelInputInvalid(f"the box {x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} is not in a {width}x{height} picture")
    if max(x2 - x1, y2 - y1) > 64 * max(width, height):
        raise ModelInputInvalid("the box is far larger than the picture")
    return x1, y1, x2, y2


def _warped(rgb: Image, scale: float, centre: tuple[float, float], side: int, replicate: bool) -> Image:
    shift_x, shift_y = side / 2 - centre[0] * scale, side / 2 - centre[1] * scale
    matrix = np.array(((scale, 0, shift_x), (0, scale, shift_y)), np.float64)
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return np.asarray(cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)
