"""BlazeFace under LiteRT as a stream's screener: the same weights and the same answers as MediaPipe's face detector,
without its graph. Pictures are sampled as MediaPipe does: two neighbours each way, corners on corners."""

from __future__ import annotations

from streamapp.errors import ModelInvalid
from streamapp.faces import Detections
from streamapp.frame import Image, Letterbox, letterboxed
from streamapp.zoo.base import Letterboxed, infer
from streamapp.zoo.blazeface import SPECS, BlazeFace
from streamapp.zoo.litert_session import LiteRtSession


class LiteRtScreener:
    """One session."""

    def __init__(self, variant: str, weights: bytes, *, min_score: float) -> None:
        """Raises ModelInvalid if the weights are not those of that net."""
        if variant not in SPECS:
            raise ModelInvalid(f"{variant} is not a BlazeFace net")
        self._model = BlazeFace(SPECS[variant], min_score)
        self._session = LiteRtSession(variant, weights)
        self._model.spec.check_session(self._session)

    @property
    def variant(self) -> str:
        return self._model.spec.variant

    @property
    def input_side(self) -> int:
        return self._model.spec.side

    def screen(self, rgb: Image, pts_s: float) -> Detections:  # noqa: ARG002 - the protocol's; nothing is tracked here
        return infer(self._session, self._model, [squared(rgb, self.input_side)])[0]

    def close(self) -> None:
        self._session.close()


def squared(rgb: Image, side: int) -> Letterboxed:
    """A whole RGB picture in a black square, as BlazeFace wants it; a picture of that size as it is."""
    height, width = rgb.shape[:2]
    box = Letterbox.of(width, height, side)
    pixels = rgb if (height, width) == (side, side) else letterboxed(rgb, box, side)
    return Letterboxed(pixels, 1 / box.scale, box.margin_x / box.scale, box.margin_y / box.scale)
