"""Models under test whose answers are written in the pictures: the brightness of a face decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from streamapp.evaluation.subject import Subject
from streamapp.frame import Image
from streamapp.zoo.base import Face, ModelSpec
from tests.fakes import BrightnessModel, EchoSession

_Value = TypeVar("_Value")

BLACK = 0
"""A picture of this brightness shows no face."""


def judge(name: str, answer: Callable[[float], _Value]) -> Subject[_Value]:
    return Subject(BrightnessModel(ModelSpec(name, 1, outputs=((1,),)), answer), EchoSession())


def grey(path: Path, brightness: int) -> Path:
    """A picture whose every pixel has this brightness, 0 to 255."""
    cv2.imwrite(str(path), np.full((8, 8, 3), brightness, np.uint8))
    return path


def find_face(rgb: Image) -> Face | None:
    return None if rgb.max() == BLACK else Face(np.array((2, 2, 4, 4), np.float32))
