"""Pictures whose faces are labelled, from COCO annotation files or from plain lists of boxes.

What a COCO box means differs: `face_box` (COCO-WholeBody, Jin et al., 2020, arXiv 2007.11858) was drawn round the face.
The `bbox` of a set of landmarks (300W, AFLW, COFW, LaPa, WFLW as MMPose has them) is computed from the landmarks, 1 to
1.2 times their extent and by another rule in each set: no box to compare others with, so such faces are found by their
landmarks. Both kinds label some of the faces of a picture only. The `bbox` of a person is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import read_table
from streamapp.faces import Floats

_FACE = "face"


class Rule(StrEnum):
    """How a found face is told to be a labelled one."""

    BOX = "box"
    """The boxes overlap enough."""
    LANDMARKS = "landmarks"
    """The box holds the labelled landmarks and is not much larger than they reach."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureLabels:
    """The labelled faces of a picture, all by the same rule. boxes: float32 [N, 4], x1 y1 x2 y2, of faces or of the
    extent of their landmarks. landmarks: of each face, [K, 2], or None under Rule.BOX. crowds: float32 [M, 4], where
    faces are that nobody labelled one by one."""

    path: Path
    boxes: Floats
    landmarks: tuple[Floats, ...] | None
    crowds: Floats


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of one file."""

    name: str
    rule: Rule
    is_complete: bool
    """Whether every face is labelled. Where not, a found face that is none of the labelled may still be right."""
    pictures: tuple[PictureLabels, ...]


class _Image(BaseModel):
    id: int
    file_name: str


class _Annotation(BaseModel):
    image_id: int
    category_id: int = 0
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    keypoints: list[float] | None = None
    face_box: tuple[float, float, float, float] | None = None
    face_valid: bool = True


class _Category(BaseModel):
    id: int
    name: str


class _Coco(BaseModel):
    """The part of a COCO annotation file that matters here. Boxes are x, y, width, height."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] = []


_Plain = TypeAdapter(dict[str, list[tuple[float, float, float, float]]])


def read_label_sets(source: Path) -> list[LabelSet]:
    """From one file, or from every .json and .csv file in a folder and below; pictures lie beside their file. Raises
    UsageError for a file that holds no labels of faces."""
    if not source.exists():
        raise UsageError(f"{source} does not exist")
    files = sorted(path for path in source.rglob("*") if path.suffix in (".json", ".csv")) if source.is_dir() else []
    return [_read(path) for path in (files if source.is_dir() else [source])]


def _read(path: Path) -> LabelSet:
    if path.suffix == ".csv":
        return _plain(path, _boxes_of_table(path))
    try:
        content = json.loads(path.read_text("utf-8"))
        if isinstance(content, dict) and "annotations" in content:
            return _coco(path, _Coco.model_validate(content))
        return _plain(path, _Plain.validate_python(content))
    except (OSError, ValueError) as error:
        reason = f"{error.error_count()} values do not fit" if isinstance(error, ValidationError) else error
        raise UsageError(f"{path} is neither COCO nor {{file: [[x1, y1, x2, y2], ...]}}: {reason}") from error


def _boxes_of_table(path: Path) -> dict[str, list[tuple[float, float, float, float]]]:
    """Rows of file, x1, y1, x2, y2: one for each face; a picture without a face has one row with no numbers."""
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    for row in read_table(path, ("file", "x1", "y1", "x2", "y2")):
        found = boxes.setdefault(row["file"], [])
        if any(row[side] for side in ("x1", "y1", "x2", "y2")):
            try:
                found.append((float(row["x1"]), float(row["y1"]), float(row["x2"]), float(row["y2"])))
            except ValueError as error:
                raise UsageError(f"{path}: the box of {row['file']} is not four numbers") from error
    return boxes


def _plain(path: Path, boxes: dict[str, list[tuple[float, float, float, float]]]) -> LabelSet:
    pictures = tuple(PictureLabels(path.parent / name, _columns(of), None, _columns([])) for name, of in boxes.items())
    return _checked(path, LabelSet(path.parent.name, Rule.BOX, True, pictures))


def _coco(path: Path, coco: _Coco) -> LabelSet:
    """Faces without a face box or without landmarks are not labelled: nothing is asked of them."""
    names = {category.id: category.name for category in coco.categories}
    has_face_boxes = any(annotation.face_box is not None for annotation in coco.annotations)
    foreign = {names.get(a.category_id, _FACE) for a in coco.annotations} - {_FACE}
    if foreign and not has_face_boxes:
        raise UsageError(f"{path}: the boxes are of {', '.join(sorted(foreign))}, not of faces")
    rule = Rule.LANDMARKS if not has_face_boxes and any(a.keypoints for a in coco.annotations) else Rule.BOX
    pictures = []
    for image in coco.images:
        of_image = [a for a in coco.annotations if a.image_id == image.id]
        crowds = [_corners(a.bbox) for a in of_image if a.iscrowd]
        single = [a for a in of_image if not a.iscrowd]
        if rule is Rule.LANDMARKS:
            points = tuple(p for p in (_visible(a.keypoints or []) for a in single) if len(p))
            extents = [(*(float(v) for v in p.min(axis=0)), *(float(v) for v in p.max(axis=0))) for p in points]
            pictures.append(PictureLabels(path.parent / image.file_name, _columns(extents), points, _columns(crowds)))
            continue
        drawn = [a.face_box if has_face_boxes else a.bbox for a in single if a.face_valid]
        boxes = [_corners(box) for box in drawn if box is not None]
        pictures.append(PictureLabels(path.parent / image.file_name, _columns(boxes), None, _columns(crowds)))
    is_complete = rule is Rule.BOX and not has_face_boxes
    return _checked(path, LabelSet(path.parent.name, rule, is_complete, tuple(pictures)))


def _checked(path: Path, labels: LabelSet) -> LabelSet:
    for picture in labels.pictures:
        boxes = picture.boxes
        if not (np.isfinite(boxes).all() and (boxes[:, :2] < boxes[:, 2:]).all()):
            raise UsageError(f"{path}: a box of {picture.path.name} has no area")
    if not labels.pictures:
        raise UsageError(f"{path} names no picture")
    return labels


def _visible(keypoints: list[float]) -> Floats:
    """[K, 2] of x, y, visibility, ...: those that are labelled (visibility above 0). Raises ValueError."""
    if len(keypoints) % 3:
        raise ValueError("each of the keypoints has three numbers")
    points = np.array(keypoints, np.float32).reshape(-1, 3)
    return np.asarray(points[points[:, 2] > 0, :2], np.float32)


def _corners(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, width, height = box
    return left, top, left + width, top + height


def _columns(boxes: list[tuple[float, ...]] | list[tuple[float, float, float, float]]) -> Floats:
    return np.array(boxes, np.float32).reshape(-1, 4)
