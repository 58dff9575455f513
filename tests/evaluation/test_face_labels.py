"""What a box in a label file means is told apart, and what is no label of a face is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.face_labels import LabelSet, Rule, read_label_sets
from tests.shared_data import shared_folder

IMAGES = [{"id": 7, "file_name": "a.jpg"}]
FACE, PERSON = {"id": 1, "name": "face"}, {"id": 1, "name": "person"}


def read(folder: Path, content: object) -> LabelSet:
    path = folder / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    (labels,) = read_label_sets(path)
    return labels


def coco(category: dict[str, object], *annotations: dict[str, object]) -> dict[str, object]:
    rows = [{"image_id": 7, "category_id": 1, **annotation} for annotation in annotations]
    return {"images": IMAGES, "annotations": rows, "categories": [category]}


def test_boxes_of_faces_are_corners_and_complete_but_for_crowds(tmp_path: Path) -> None:
    labels = read(
        tmp_path, coco(FACE, {"bbox": [10, 20, 30, 40]}, {"bbox": [0, 0, 5, 5]}, {"bbox": [50, 50, 9, 9], "iscrowd": 1})
    )
    assert (labels.rule, labels.is_complete) == (Rule.BOX, True)
    assert labels.pictures[0].path == tmp_path / "a.jpg"
    assert labels.pictures[0].boxes.tolist() == [[10, 20, 40, 60], [0, 0, 5, 5]]
    assert labels.pictures[0].crowds.tolist() == [[50, 50, 59, 59]]


def test_of_persons_only_valid_face_boxes_count(tmp_path: Path) -> None:
    whole = {"bbox": [0, 0, 90, 90], "face_box": [1, 2, 3, 4], "face_valid": True}
    turned_away = {"bbox": [0, 0, 90, 90], "face_box": [0, 0, 0, 0], "face_valid": False}
    labels = read(tmp_path, coco(PERSON, whole, turned_away))
    assert (labels.rule, labels.is_complete) == (Rule.BOX, False)
    assert labels.pictures[0].boxes.tolist() == [[1, 2, 4, 6]]


def test_boxes_with_landmarks_give_way_to_the_landmarks_that_are_visible(tmp_path: Path) -> None:
    labels = read(tmp_path, coco(FACE, {"bbox": [0, 0, 90, 90], "keypoints": [5, 6, 1, 15, 26, 2, 0, 0, 0]}))
    assert (labels.rule, labels.is_complete) == (Rule.LANDMARKS, False)
    assert labels.pictures[0].landmarks is not None
    assert labels.pictures[0].landmarks[0].tolist() == [[5, 6], [15, 26]]
    assert labels.pictures[0].boxes.tolist() == [[5, 6, 15, 26]]


def test_plain_lists_as_json_and_csv_say_the_same(tmp_path: Path) -> None:
    from_json = read(tmp_path, {"a.jpg": [[1, 2, 3, 4], [5, 6, 7, 8.5]], "empty.jpg": []})
    table = tmp_path / "labels.csv"
    table.write_text("file,x1,y1,x2,y2\na.jpg,1,2,3,4\na.jpg,5,6,7,8.5\nempty.jpg,,,,\n")
    (from_csv,) = read_label_sets(table)
    assert (from_csv.rule, from_csv.is_complete) == (Rule.BOX, True) == (from_json.rule, from_json.is_complete)
    for one, other in zip(from_json.pictures, from_csv.pictures, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one.boxes, other.boxes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (coco(PERSON, {"bbox": [0, 0, 9, 9]}), "person, not of faces"),
        ({"images": IMAGES, "annotations": [{"image_id": 7, "bbox": [1, 2]}]}, "neither COCO nor"),
        ({"a.jpg": [[1, 2, 3]]}, "neither COCO nor"),
        ([1, 2], "neither COCO nor"),
        ("{", "neither COCO nor"),
        ({}, "names no picture"),
        ({"a.jpg": [[5, 5, 5, 9]]}, "has no area"),
        ({"a.jpg": [[float("nan"), 5, 6, 9]]}, "has no area"),
        (coco(FACE, {"bbox": [0, 0, 9, 9], "keypoints": [1, 2]}), "three numbers"),
    ],
)
def test_what_is_no_label_of_faces_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("text", ["file,x1\na.jpg,1\n", "file,x1,y1,x2,y2\na.jpg,1,2,x,4\n", ""])
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UsageError):
        read_label_sets(tmp_path / "labels.csv")


def test_a_folder_is_searched_and_may_have_no_labels(tmp_path: Path) -> None:
    assert read_label_sets(tmp_path) == []
    with pytest.raises(UsageError, match="does not exist"):
        read_label_sets(tmp_path / "nowhere")


@pytest.mark.media
def test_the_shared_sets_are_read_for_what_they_are() -> None:
    sets = {labels.name: labels for labels in read_label_sets(shared_folder("media/boxes/mmpose"))}
    assert {name: labels.rule for name, labels in sets.items()} == {
        "coco": Rule.BOX,
        **dict.fromkeys(("300w", "aflw", "cofw", "lapa", "wflw"), Rule.LANDMARKS),
    }
    assert not any(labels.is_complete for labels in sets.values())
    faces = {name: sum(len(picture.boxes) for picture in labels.pictures) for name, labels in sets.items()}
    assert faces == {"coco": 4, "300w": 2, "aflw": 2, "cofw": 2, "lapa": 2, "wflw": 4}
