"""Labelled video: clips with the faces in them, who they are, and the pictures people are enrolled with.

FOLDER/lobby.mp4             a clip
FOLDER/lobby.txt             its faces, as MOTChallenge's gt.txt: frame, id, left, top, width, height[, considered, ...]
FOLDER/people.csv            clip, id, name: who they are; without an id: all faces of that clip; no name: a stranger
FOLDER/gallery/NAME/*.jpg    who is enrolled, whether or not they are in a clip

Frames and pixels of MOTChallenge begin with 1. A row whose seventh column is 0 is a face that is not judged.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import pictures_in, read_table
from streamapp.faces import Floats

PEOPLE, GALLERY = "people.csv", "gallery"
_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".mjpeg"})
_MIN_COLUMNS = 6


@dataclass(frozen=True, slots=True, eq=False)
class FrameLabels:
    """The faces of one frame. boxes: [N, 4], x1 y1 x2 y2 in pixels, of the people `ids` [N]; ignored: [M, 4]."""

    ids: NDArray[np.int64]
    boxes: Floats
    ignored: Floats


NOBODY = FrameLabels(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledClip:
    """people: the name of each id, None for strangers; of the id None: everybody in a clip without boxes."""

    path: Path
    boxes: Mapping[int, FrameLabels] | None
    """By frame, from 0 on; a frame that is not there shows nobody. None for a clip whose faces are not labelled."""
    people: Mapping[int | None, str | None]

    @property
    def name(self) -> str:
        return self.path.stem

    def at(self, frame: int) -> FrameLabels:
        return NOBODY if self.boxes is None else self.boxes.get(frame, NOBODY)

    def check_length(self, frames: int) -> None:
        """Raises UsageError if there are labels beyond the clip's end."""
        last = max(self.boxes or (0,))
        if last >= frames:
            raise UsageError(f"{self.path.with_suffix('.txt')} labels frame {last + 1}; the clip has {frames}")


def read_boxed_clips(folder: Path) -> list[LabelledClip]:
    """The clips of a folder that have boxes. Raises UsageError for labels that cannot be read, or if there are none."""
    clips = [
        LabelledClip(path, read_boxes(path.with_suffix(".txt")), {})
        for path in _videos_in(folder)
        if path.with_suffix(".txt").is_file()
    ]
    if not clips:
        raise UsageError(f"{folder} has no clip with a file of boxes beside it (lobby.mp4 and lobby.txt)")
    return clips


def read_people_clips(folder: Path, enrolled: Sequence[str]) -> list[LabelledClip]:
    """The clips of a folder of which people.csv says who is in them. Raises UsageError for labels that cannot be read,
    for an id without a row, and for a name that is not enrolled."""
    table = folder / PEOPLE
    rows = read_table(table, ("clip", "id", "name"))
    people: dict[str, dict[int | None, str | None]] = {}
    for row in rows:
        name, person = row["name"].strip() or None, _id_of(row["id"].strip(), table)
        if name is not None and name not in enrolled:
            raise UsageError(f"{table} names {name!r}, but {GALLERY}/{name}/ has no pictures; strangers have no name")
        if person in people.setdefault(row["clip"], {}):
            raise UsageError(f"{table} says twice who {row['id'] or 'everybody'} in {row['clip']} is")
        people[row["clip"]][person] = name
    videos = {path.name: path for path in _videos_in(folder)}
    lacking = people.keys() - videos.keys()
    if lacking:
        raise UsageError(f"{table} names clips that are not there: {', '.join(sorted(lacking))}")
    return [_with_people(videos[name], of_clip, table) for name, of_clip in sorted(people.items())]


def read_gallery(folder: Path) -> dict[str, list[Path]]:
    """The pictures of everybody who is enrolled, by name. Raises UsageError if there is nobody, or somebody without."""
    gallery = folder / GALLERY
    people = sorted(path for path in gallery.iterdir() if path.is_dir()) if gallery.is_dir() else []
    if not people:
        raise UsageError(f"{gallery} has no folder NAME/ with pictures of somebody to enroll")
    return {path.name: pictures_in(path) for path in people}


def read_boxes(path: Path) -> dict[int, FrameLabels]:
    """By frame, from 0 on. Raises UsageError, with the number of the line."""
    found: dict[int, list[tuple[int, tuple[float, ...], bool]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            for number, cells in enumerate(csv.reader(lines), 1):
                if cells:
                    frame, person, box, is_judged = _row(cells, f"{path}, line {number}")
                    if is_judged and any(other == person and judged for other, _, judged in found.get(frame, ())):
                        raise UsageError(f"{path}, line {number}: {person} is in frame {frame + 1} twice")
                    found.setdefault(frame, []).append((person, box, is_judged))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not found:
        raise UsageError(f"{path} labels nothing")
    return {frame: _labels(rows) for frame, rows in found.items()}


def _row(cells: Sequence[str], where: str) -> tuple[int, int, tuple[float, ...], bool]:
    if len(cells) < _MIN_COLUMNS:
        raise UsageError(f"{where}: {_MIN_COLUMNS} columns are needed: frame, id, left, top, width, height")
    try:
        frame, person = int(cells[0]), int(cells[1])
        left, top, width, height = map(float, cells[2:_MIN_COLUMNS])
        is_judged = len(cells) == _MIN_COLUMNS or float(cells[_MIN_COLUMNS]) != 0
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    box = (left - 1, top - 1, left - 1 + width, top - 1 + height)
    if frame < 1 or not all(map(isfinite, box)) or not (width > 0 and height > 0):
        raise UsageError(f"{where}: frames begin with 1, and a box has a width and a height above 0")
    return frame - 1, person, box, is_judged


def _labels(rows: Sequence[tuple[int, tuple[float, ...], bool]]) -> FrameLabels:
    judged = [(person, box) for person, box, is_judged in rows if is_judged]
    ignored = [box for _, box, is_judged in rows if not is_judged]
    return FrameLabels(
        np.array([person for person, _ in judged], np.int64),
        np.array([box for _, box in judged], np.float32).reshape(-1, 4),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def _with_people(path: Path, people: Mapping[int | None, str | None], table: Path) -> LabelledClip:
    if None in people:
        if len(people) > 1:
            raise UsageError(f"{table}: {path.name} has rows with and without an id")
        return LabelledClip(path, None, people)
    boxes = read_boxes(path.with_suffix(".txt"))
    unknown = sorted({int(person) for labels in boxes.values() for person in labels.ids} - people.keys())
    if unknown:
        raise UsageError(f"{table} does not say who {', '.join(map(str, unknown))} in {path.name} is")
    return LabelledClip(path, boxes, people)


def _id_of(text: str, table: Path) -> int | None:
    try:
        return int(text) if text else None
    except ValueError as error:
        raise UsageError(f"{table}: the id {text!r} is no whole number") from error


def _videos_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UsageError(f"{folder} has no videos ({', '.join(sorted(_SUFFIXES))})")
    return found
