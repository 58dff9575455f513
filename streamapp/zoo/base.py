"""What the pipeline sees of a model that screens frames."""

from __future__ import annotations

from typing import Protocol

from streamapp.faces import Detections
from streamapp.frame import Image


class FaceScreener(Protocol):
    """Finds faces in every frame of one stream. Owned by one thread; one instance per stream."""

    @property
    def variant(self) -> str:
        """The manifest's name of the weights in use."""

    @property
    def input_side(self) -> int | None:
        """Side in pixels of the square the net sees. A picture letterboxed to it is all it needs; None: it wants
        pictures as they are."""

    def screen(self, rgb: Image, pts_s: float) -> Detections:
        """Faces in an RGB picture, boxes in its pixels. `pts_s` must increase from call to call."""

    def close(self) -> None:
        """Frees the model. Idempotent."""
