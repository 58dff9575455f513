"""A model under test, and the faces it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np

from streamapp.errors import ModelMissing, UsageError
from streamapp.evaluation.pictures import read_picture
from streamapp.frame import Image
from streamapp.geometry import box_areas
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face, FaceModel, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.registry import PULL_COMMAND, Registry
from streamapp.zoo.session import SessionOptions
from streamapp.zoo.spec import Task

_Value = TypeVar("_Value")

_FILLING = 0.5
"""Share of the picture's longer side from which a face fills it."""

FindFace = Callable[[Image], Face | None]
"""The largest face of an RGB picture, with landmarks."""


@dataclass(frozen=True, slots=True)
class Subject(Generic[_Value]):
    """Weights of a model that looks at one face."""

    model: FaceModel[_Value]
    session: ModelSession

    @property
    def name(self) -> str:
        return self.model.spec.variant

    def look(self, rgb: Image, face: Face) -> _Value:
        return infer(self.session, self.model, [self.model.cut(rgb, face)])[0]


def looks(path: Path, subjects: Sequence[Subject[_Value]], find_face: FindFace) -> tuple[_Value, ...] | None:
    """What each subject says of the largest face of a picture; None where no face is found. Raises UsageError."""
    rgb = read_picture(path)
    face = find_face(rgb)
    return None if face is None else tuple(subject.look(rgb, face) for subject in subjects)


def open_subjects(
    registry: Registry, task: Task, names: Sequence[str], model_of: Callable[[str], FaceModel[_Value]]
) -> list[Subject[_Value]]:
    """The named variants of a task; none named: all that are installed. Raises
    UsageError for a name given twice, ModelMissing, with the command that helps, and what `catalogue.load` does."""
    if len(set(names)) != len(names):
        raise UsageError("a model is named twice")
    variants = [registry.manifest.named(name, task) for name in names] or registry.installed(task)
    if not variants:
        raise ModelMissing(f"no model for task {task} is in {registry.folder}/; run `{PULL_COMMAND}`")
    return [Subject(model_of(v.name), catalogue.load(registry, v, SessionOptions())) for v in variants]


def open_face_finder(registry: Registry, name: str) -> FindFace:
    """The largest face that a variant of the detector finds. Raises what `catalogue.load` does."""
    model = catalogue.detector(name)
    session = catalogue.load(registry, registry.manifest.named(name, Task.DETECT), SessionOptions())

    def find(rgb: Image) -> Face | None:
        (found,) = infer(session, model, [letterbox(rgb, model.spec.side)])
        return Face.at(found, int(np.argmax(box_areas(found.boxes)))) if len(found) else None

    return find


def even_if_filling(find_face: FindFace) -> FindFace:
    """Also for pictures that show little but a face: detectors find none there, or misplace its landmarks, so a second
    look adds a margin."""

    def find(rgb: Image) -> Face | None:
        face = find_face(rgb)
        if face is not None and (face.box[2:] - face.box[:2]).max() < max(rgb.shape[:2]) * _FILLING:
            return face
        return in_margin(find_face, rgb) or face

    return find


def in_margin(find_face: FindFace, rgb: Image) -> Face | None:
    """The face found with half the picture's longer side of black around it, in pixels of the picture itself."""
    margin = max(rgb.shape[:2]) // 2
    framed = cv2.copyMakeBorder(rgb, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    face = find_face(np.asarray(framed, np.uint8))
    if face is None:
        return None
    shift = np.float32(margin)
    return Face(face.box - shift, None if face.landmarks is None else face.landmarks - shift)
