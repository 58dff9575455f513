"""The one shape of a model, what it is handed, and what runs it.

A model is a pure description: `preprocess` turns items into one array, `postprocess` turns a session's outputs into one
value per item. It holds no weights; a session does, and a session knows nothing of faces. `infer` puts both together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from streamapp.errors import ModelError, ModelInputInvalid, ModelInvalid
from streamapp.faces import Detections, Floats
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


@dataclass(frozen=True, slots=True)
class TensorShape:
    """Name and shape of a session's input or output; None where a dimension is free."""

    name: str
    shape: tuple[int | None, ...]

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of that shape fits."""
        return len(shape) == len(self.shape) and all(
            mine is None or mine == size for mine, size in zip(self.shape, shape, strict=True)
        )


class ModelSession(Protocol):
    """Loaded weights that turn one batch of arrays into others."""

    @property
    def variant(self) -> str:
        """The manifest's name of the weights."""

    @property
    def input(self) -> TensorShape: ...

    @property
    def outputs(self) -> tuple[TensorShape, ...]: ...

    @property
    def providers(self) -> tuple[str, ...]:
        """What really runs the weights, as the loaded session says."""

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """One float32 array per output, batch on the first axis, of any length. Raises ModelInputInvalid,
        ModelOutOfMemory, ModelError."""

    def close(self) -> None:
        """Frees the weights. Idempotent."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a variant takes and gives."""

    variant: str
    side: int
    """Width and height of the input in pixels."""
    outputs: tuple[tuple[int | None, ...], ...]
    """Shape of each output that is used, without the batch; None where it does not matter."""
    channels_last: bool = field(default=False, kw_only=True)

    def check_session(self, session: ModelSession) -> None:
        """Raises ModelInvalid if the weights are of another net than this spec is for."""
        wanted = (1, self.side, self.side, 3) if self.channels_last else (1, 3, self.side, self.side)
        if not session.input.takes(wanted):
            raise ModelInvalid(f"{self.variant}: input is {session.input.shape}, expected {wanted}")
        if len(session.outputs) < len(self.outputs):
            raise ModelInvalid(f"{self.variant}: {len(session.outputs)} outputs, expected {len(self.outputs)}")
        for found, expected in zip(session.outputs, self.outputs, strict=False):
            fits = len(found.shape) == len(expected) + 1 and all(
                a is None or b is None or a == b for a, b in zip(found.shape[1:], expected, strict=True)
            )
            if not fits:
                raise ModelInvalid(f"{self.variant}: output {found.name} is {found.shape}, expected N, {expected}")

    def checked(self, outputs: Sequence[Floats], count: int) -> Sequence[Floats]:
        """`outputs`, if they are what this spec says, for `count` items. Raises ModelError."""
        for found, expected in zip(outputs, self.outputs, strict=False):
            fits = len(found) == count and len(found.shape) == len(expected) + 1
            if not fits or any(b is not None and a != b for a, b in zip(found.shape[1:], expected, strict=True)):
                raise ModelError(f"{self.variant} gave an output of shape {found.shape} for {count} items")
        if len(outputs) < len(self.outputs):
            raise ModelError(f"{self.variant} gave {len(outputs)} outputs, expected {len(self.outputs)}")
        return outputs


_Item = TypeVar("_Item")
_ItemIn = TypeVar("_ItemIn", contravariant=True)
_ValueOut = TypeVar("_ValueOut", covariant=True)
_Value = TypeVar("_Value")


class Model(Protocol[_ItemIn, _ValueOut]):
    """Everything about a variant but its weights. Pure: no I/O, no clock, no state."""

    @property
    def spec(self) -> ModelSpec: ...

    def preprocess(self, items: Sequence[_ItemIn]) -> Floats:
        """float32 [N, 3, side, side], or with the channels last. Raises ModelInputInvalid."""

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[_ItemIn]) -> Sequence[_ValueOut]:
        """One value per item. Raises ModelError if the outputs are not those of this net."""


class FaceModel(Model["Crop", _ValueOut], Protocol[_ValueOut]):
    """A model that looks at one face, in a crop that it says how to cut."""

    def cut(self, rgb: Image, face: Face) -> Crop:
        """The part of an RGB picture this model wants to see of a face. Raises ModelInputInvalid if the face lacks the
        landmarks it needs, or lies outside the picture."""


class Operation(Protocol[_ItemIn, _ValueOut]):
    """Work for one loaded model, or for several that work hand in hand. Pure: no I/O, no clock, no state."""

    @property
    def name(self) -> str:
        """Items of operations of the same name may share a batch."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants whose sessions it needs."""

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[_ItemIn]) -> Sequence[_ValueOut]:
        """One value per item. `sessions`: by variant. Raises ModelError."""


@dataclass(frozen=True, slots=True)
class Inference(Generic[_Item, _Value]):
    """One model on its items: the plainest operation."""

    model: Model[_Item, _Value]

    @property
    def name(self) -> str:
        return self.model.spec.variant

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.model.spec.variant,)

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[_Item]) -> Sequence[_Value]:
        return infer(sessions[self.model.spec.variant], self.model, items)


def infer(session: ModelSession, model: Model[_Item, _Value], items: Sequence[_Item]) -> Sequence[_Value]:
    """One value per item; an empty batch runs nothing. Raises what the three steps raise."""
    if not items:
        return ()
    return model.postprocess(session.run(model.preprocess(items)), items)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """Where a face is in a picture. box: float32 [4], x1 y1 x2 y2; landmarks: float32 [5, 2] as in Detections."""

    box: Floats
    landmarks: Floats | None = None

    @classmethod
    def at(cls, detections: Detections, index: int) -> Face:
        landmarks = None if detections.landmarks is None else detections.landmarks[index]
        return cls(detections.boxes[index], landmarks)


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """One face cut out for one kind of model. Owns its pixels: uint8 RGB [side, side, 3]."""

    pixels: Image


@dataclass(frozen=True, slots=True, eq=False)
class Letterboxed:
    """A picture, or a part of one, scaled as a net wants it, with or without a border: mostly into a square. Owns its
    pixels: uint8 RGB [height, width, 3].

    A point of it is `point * scale + (left, top)` of the picture's point."""

    pixels: Image
    scale: float
    left: float
    top: float

    def to_picture(self, points: Floats) -> Floats:
        """Points of it, [..., 2], in pixels of the picture."""
        offset = np.array((self.left, self.top), np.float32)
        return np.asarray((points - offset) / np.float32(self.scale), np.float32)


def require_square(pixels: Image, side: int, variant: str) -> None:
    """Raises ModelInputInvalid unless `pixels` is uint8 [side, side, 3]."""
    if pixels.shape != (side, side, 3) or pixels.dtype != np.uint8:
        raise ModelInputInvalid(f"{variant} takes uint8 [{side}, {side}, 3], not {pixels.dtype} {list(pixels.shape)}")
