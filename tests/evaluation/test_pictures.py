"""Labels come from folders or tables, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.pictures import LabelledPicture, pictures_in, read_labelled, read_picture


def put(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 6, 3), (255, 0, 0), np.uint8))
    return path


def test_pictures_are_rgb(tmp_path: Path) -> None:
    assert read_picture(put(tmp_path / "a.png"))[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(UsageError, match=r"gone\.png"):
        read_picture(tmp_path / "gone.png")


def test_each_folder_is_a_label(tmp_path: Path) -> None:
    live, attack = put(tmp_path / "live" / "a.png"), put(tmp_path / "attack-print" / "b.JPG")
    (tmp_path / "live" / "notes.txt").write_text("no picture")
    assert read_labelled(tmp_path) == [LabelledPicture(attack, "attack-print"), LabelledPicture(live, "live")]


def test_a_table_names_pictures_beside_it_or_anywhere(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,live\n/elsewhere/b.png, attack-print\n")
    expected = [
        LabelledPicture(tmp_path / "a.png", "live"),
        LabelledPicture(Path("/elsewhere/b.png"), "attack-print"),
    ]
    assert read_labelled(table) == read_labelled(tmp_path) == expected


@pytest.mark.parametrize("text", ["", "file\na.png\n", "file,label\na.png\n"])
def test_a_table_that_lacks_a_column_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match="file, label"):
        read_labelled(tmp_path)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv"):
        read_labelled(tmp_path)
    (tmp_path / "live").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        read_labelled(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        pictures_in(tmp_path / "gone")
