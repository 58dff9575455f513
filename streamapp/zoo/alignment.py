"""A face turned, scaled and moved so that its 5 points lie where a recogniser was trained to see them.

The similarity transform is Umeyama's least-squares estimate, "Least-squares estimation of transformation parameters
between two point patterns", 1991. The template is ArcFace's (Deng et al., 2018, arXiv 1801.07698) for 112 pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Floats
from streamapp.frame import Image
from streamapp.zoo.base import Crop, Face

_TEMPLATE_SIDE = 112
_TEMPLATE = np.array(
    ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)), np.float64
)
"""Left eye, right eye, nose, left and right mouth corner, as seen in the picture."""
_MIN_SPREAD_PX = 1e-3

Similarity = NDArray[np.float64]
"""[2, 3]: rotation and scale, then shift."""


def template(side: int) -> Floats:
    """float32 [5, 2]: where the points belong in an aligned crop of that side."""
    return np.asarray(_TEMPLATE * (side / _TEMPLATE_SIDE), np.float32)


def similarity(source: Floats, target: Floats) -> Similarity:
    """The rotation, scale and shift, never a mirroring, that best take points [N, 2] to others.

    Raises ModelInputInvalid if the source points are not finite or all the same."""
    source64, target64 = source.astype(np.float64), target.astype(np.float64)
    source_mean, target_mean = source64.mean(axis=0), target64.mean(axis=0)
    source_centred, target_centred = source64 - source_mean, target64 - target_mean
    variance = float((source_centred**2).sum(axis=1).mean())
    if not variance > _MIN_SPREAD_PX**2 or not np.isfinite(variance):
        raise ModelInputInvalid("the 5 points of a face are not distinct, finite points")
    u, values, vt = np.linalg.svd(target_centred.T @ source_centred / len(source64))
    signs = np.array((1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0))
    rotation = (u * signs) @ vt
    scale = float(values @ signs) / variance
    shift = target_mean - scale * rotation @ source_mean
    return np.concatenate([scale * rotation, shift[:, None]], axis=1)


def align(rgb: Image, face: Face, side: int) -> Crop:
    """The aligned crop of a face; black beside the picture. Raises ModelInputInvalid if it has no usable landmarks."""
    if face.landmarks is None or face.landmarks.shape != (5, 2):
        raise ModelInputInvalid("this model needs the 5 landmarks of a face")
    matrix = similarity(face.landmarks, template(side))
    return Crop(np.asarray(cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8))
