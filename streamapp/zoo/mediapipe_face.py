"""BlazeFace under MediaPipe's own face detector (Tasks API). Weights: Apache-2.0.

Input: RGB of any size. Output: boxes, scores and BlazeFace's 6 keypoints. Runs on the CPU. Slower than
`blazeface_litert` and coarser: this API cuts box sides to whole pixels, and a box that crosses the left or top edge of
the picture comes back moved inside it.
"""

from __future__ import annotations

import numpy as np

from streamapp.errors import ModelError, ModelInvalid, UsageError
from streamapp.faces import Detections, Detector
from streamapp.frame import Image
from streamapp.zoo.native_log import without_chatter

try:
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.components.containers import BoundingBox
    from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions, RunningMode
except (ImportError, OSError) as error:  # OSError: its shared library needs libEGL.so.1 and libGLESv2.so.2
    raise UsageError(f"MediaPipe cannot be used here ({error}); set models.runtime to litert") from error


_open: set[FaceDetector] = set()
"""Kept until they are closed: a detector that is collected unclosed, as part of a reference cycle, waits in its __del__
for a thread that has already ended, and the whole process with it."""


class MediaPipeScreener:
    """One detector in IMAGE mode: VIDEO mode tracks nothing for this net, costs the same (docs/adr/0002) and dies of a
    timestamp that does not increase."""

    def __init__(self, variant: str, weights: bytes, *, min_score: float) -> None:
        """Raises ModelInvalid if MediaPipe does not take the weights."""
        self._variant = variant
        self._detector: FaceDetector | None = None
        options = FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=weights),
            running_mode=RunningMode.IMAGE,
            min_detection_confidence=min_score,
        )
        try:
            with without_chatter():
                self._detector = FaceDetector.create_from_options(options)
                _open.add(self._detector)
                # The first call is slow, and says what the graph's threads have to say: better here than on a frame.
                self._detector.detect(mp.Image(mp.ImageFormat.SRGB, np.zeros((16, 16, 3), np.uint8)))
        except (RuntimeError, ValueError) as error:
            self.close()
            raise ModelInvalid(f"{variant}: MediaPipe does not take the weights: {error}") from error

    @property
    def variant(self) -> str:
        return self._variant

    def screen(self, rgb: Image, pts_s: float) -> Detections:  # noqa: ARG002 - the protocol's; nothing is tracked here
        if self._detector is None:
            raise ModelError(f"{self._variant} is closed")
        height, width = rgb.shape[:2]
        picture = mp.Image(mp.ImageFormat.SRGB, np.ascontiguousarray(rgb))
        try:
            found = self._detector.detect(picture).detections
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._variant}: MediaPipe failed: {error}") from error
        if not found:
            return Detections.none(Detector.MEDIAPIPE)
        boxes = np.array([_box(face.bounding_box) for face in found], np.float32)
        scores = np.array([face.categories[0].score for face in found], np.float32)
        points = np.array([[(point.x, point.y) for point in face.keypoints] for face in found], np.float32)
        return Detections(Detector.MEDIAPIPE, boxes, scores, keypoints=points * np.array((width, height), np.float32))

    def close(self) -> None:
        detector, self._detector = self._detector, None
        if detector is not None:
            _open.discard(detector)
            detector.close()


def _box(box: BoundingBox) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2. Origin and size come without their fractions; what is lost on average is given back."""
    x1, y1 = box.origin_x + 0.5, box.origin_y + 0.5
    return x1, y1, x1 + box.width + 0.5, y1 + box.height + 0.5
