"""Pictures for measurements, and what is known of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from streamapp.errors import UsageError
from streamapp.frame import Image

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    path: Path
    label: str


def read_picture(path: Path) -> Image:
    """An upright RGB picture. Raises UsageError."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise UsageError(f"{path} is not a picture that can be read")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def pictures_in(folder: Path) -> list[Path]:
    """Every picture of a folder, not of its sub-folders, by name. Raises UsageError if there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UsageError(f"{folder} has no pictures ({', '.join(sorted(_SUFFIXES))})")
    return found


def read_labelled(source: Path) -> list[LabelledPicture]:
    """From a CSV file with the columns file (beside the CSV, or absolute) and label, or from a folder with such a file
    called labels.csv, or from a folder with one sub-folder per label. Raises UsageError."""
    if source.is_dir() and not (source / "labels.csv").is_file():
        folders = sorted(path for path in source.iterdir() if path.is_dir())
        if not folders:
            raise UsageError(f"{source} has neither a labels.csv nor a folder for each label")
        return [LabelledPicture(path, folder.name) for folder in folders for path in pictures_in(folder)]
    table = source / "labels.csv" if source.is_dir() else source
    rows = read_table(table, ("file", "label"))
    return [LabelledPicture(table.parent / row["file"], row["label"].strip()) for row in rows]


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file that has these columns, all of them filled. Raises UsageError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not rows or any(row.get(column) is None for row in rows for column in columns):
        raise UsageError(f"{path} is no CSV file with the columns {', '.join(columns)}")
    return rows
