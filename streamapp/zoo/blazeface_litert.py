"""BlazeFace under LiteRT: the same weights and the same answers as MediaPipe's face detector, without its graph.

Weights: Apache-2.0. Input: RGB of any size, letterboxed to the net's square and scaled to -1..1. Output: boxes (to a
fraction of a pixel), scores and BlazeFace's 6 keypoints. Runs on one thread of the CPU.
"""

from __future__ import annotations

import numpy as np

from streamapp.errors import ModelError, ModelInvalid, UsageError
from streamapp.faces import Detections, Detector
from streamapp.frame import Image, Letterbox, letterboxed
from streamapp.zoo.blazeface import anchor_centres, blend, decode, score_threshold
from streamapp.zoo.native_log import without_chatter

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    raise UsageError(f"LiteRT cannot be used here ({error}); set models.runtime to mediapipe") from error


class LiteRtScreener:
    """One interpreter."""

    def __init__(self, variant: str, weights: bytes, *, min_score: float) -> None:
        """Raises ModelInvalid if the weights are not those of a BlazeFace net."""
        self._variant = variant
        self._threshold = score_threshold(min_score)
        try:
            with without_chatter():
                interpreter = Interpreter(model_content=weights, num_threads=1)
                interpreter.allocate_tensors()
                interpreter.invoke()  # the first call is slow: better here than on a frame
            (self._input,) = interpreter.get_input_details()
            outputs = {int(detail["shape"][2]): detail for detail in interpreter.get_output_details()}
            self._points, self._scores = outputs[16]["index"], outputs[1]["index"]
            self._anchors = anchor_centres(int(outputs[1]["shape"][1]))
        except (RuntimeError, ValueError, LookupError) as error:
            raise ModelInvalid(f"{variant}: not a BlazeFace net: {error}") from error
        self._side = int(self._input["shape"][1])
        self._tensor = np.zeros((1, self._side, self._side, 3), np.float32)
        self._interpreter: Interpreter | None = interpreter

    @property
    def variant(self) -> str:
        return self._variant

    @property
    def input_side(self) -> int:
        return self._side

    def screen(self, rgb: Image, pts_s: float) -> Detections:  # noqa: ARG002 - the protocol's; nothing is tracked here
        if self._interpreter is None:
            raise ModelError(f"{self._variant} is closed")
        box = Letterbox.of(rgb.shape[1], rgb.shape[0], self._side)
        self._fill(rgb, box)
        try:
            self._interpreter.set_tensor(self._input["index"], self._tensor)
            self._interpreter.invoke()
            raw_scores = self._interpreter.get_tensor(self._scores)[0, :, 0]
            hits = np.flatnonzero(raw_scores >= self._threshold)  # not a number is no hit
            if not len(hits):
                return Detections.none(Detector.MEDIAPIPE)
            raw_points = self._interpreter.get_tensor(self._points)[0, hits]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._variant}: LiteRT failed: {error}") from error
        points, scores = blend(*decode(raw_points, raw_scores[hits], self._anchors[hits], self._side))
        points *= np.float32(box.scale * self._side)
        points -= np.array((box.margin_x, box.margin_y), np.float32)
        return Detections(Detector.MEDIAPIPE, points[:, :2].reshape(-1, 4), scores, keypoints=points[:, 2:])

    def _fill(self, rgb: Image, box: Letterbox) -> None:
        """Fills the input tensor. Samples as MediaPipe does: two neighbours each way, corners on corners."""
        square = rgb if rgb.shape[:2] == (self._side, self._side) else letterboxed(rgb, box, self._side)
        np.multiply(square, np.float32(1 / 127.5), out=self._tensor[0])
        self._tensor -= 1

    def close(self) -> None:
        self._interpreter = None
