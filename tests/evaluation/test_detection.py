"""Found faces are matched one to one with labelled ones, and only what can be judged is judged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.detection import Outcome, compare, count_faces, evaluate
from streamapp.evaluation.face_labels import LabelSet, PictureLabels, Rule
from streamapp.faces import Detector, Floats, Mode
from streamapp.frame import Image
from streamapp.results import FaceResult, ImageResult, Skipped

NO_BOXES = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def judged(
    labelled: Floats, found: Floats, *, crowds: Floats = NO_BOXES, is_complete: bool = True, min_iou: float = 0.5
) -> Outcome:
    labels = PictureLabels(Path("a.jpg"), labelled, None, crowds)
    return compare(labels, found, Rule.BOX, min_iou=min_iou, is_complete=is_complete)


def test_two_boxes_on_one_face_are_one_find_and_one_mistake() -> None:
    outcome = judged(boxes((0, 0, 10, 10)), boxes((0, 0, 10, 10), (0, 0, 10, 8)))
    assert outcome == Outcome(labelled=1, found=1, wrong=1, unjudged=0, ious=(1.0,))


def test_the_overlap_counts_from_the_threshold_on() -> None:
    label, found = boxes((0, 0, 10, 10)), boxes((0, 0, 10, 8))
    assert judged(label, found, min_iou=0.79).found == 1
    assert judged(label, found, min_iou=0.81).found == 0


def test_no_match_is_given_up_for_a_closer_one() -> None:
    # The first box fits the left face closely and the right one barely; the second fits the left one only, barely.
    labelled = boxes((0, 0, 10, 10), (8, 0, 18, 10))
    outcome = judged(labelled, boxes((1, 0, 11, 10), (-7, 0, 3, 10)), min_iou=0.1)
    assert (outcome.found, outcome.wrong) == (2, 0)
    assert outcome.ious == pytest.approx([3 / 17, 3 / 17])


def test_where_labels_are_incomplete_faces_beside_them_are_not_judged() -> None:
    labelled, found = boxes((0, 0, 10, 10)), boxes((0, 0, 10, 10), (50, 50, 60, 60), (5, 0, 15, 10))
    assert judged(labelled, found).wrong == 2
    incomplete = judged(labelled, found, is_complete=False)
    assert (incomplete.found, incomplete.wrong, incomplete.unjudged) == (1, 1, 1)


def test_faces_in_a_crowd_are_not_judged() -> None:
    outcome = judged(NO_BOXES, boxes((50, 50, 60, 60), (0, 0, 9, 9)), crowds=boxes((40, 40, 100, 100)))
    assert (outcome.wrong, outcome.unjudged) == (1, 1)


@pytest.mark.parametrize(
    ("box", "is_found"),
    [
        ((-1, -1, 11, 11), True),
        ((-5, -5, 15, 15), True),  # twice as wide and high as the landmarks reach
        ((-6, -5, 15, 15), False),
        ((-1, 1, 11, 11), False),  # without the upper two of the five
    ],
)
def test_a_face_is_found_by_its_landmarks_in_a_box_of_sensible_size(
    box: tuple[float, float, float, float], is_found: bool
) -> None:
    points = np.array([(0, 0), (10, 0), (5, 5), (0, 10), (10, 10)], np.float32)
    labels = PictureLabels(Path("a.jpg"), boxes((0, 0, 10, 10)), (points,), NO_BOXES)
    outcome = compare(labels, boxes(box), Rule.LANDMARKS, min_iou=0.5, is_complete=False)
    assert outcome.found == is_found
    assert outcome.ious == ()


@pytest.fixture
def two_pictures(tmp_path: Path) -> LabelSet:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 60, 3), np.uint8))
    pictures = (
        PictureLabels(tmp_path / "a.png", boxes((0, 0, 10, 10), (20, 20, 30, 30)), None, NO_BOXES),
        PictureLabels(tmp_path / "b.png", boxes((0, 0, 10, 10)), None, NO_BOXES),
    )
    return LabelSet("two", Rule.BOX, True, pictures)


async def examine(rgb: Image, mode: Mode) -> ImageResult:
    """Fast finds one face; the other modes find one more, which is wrong in one picture, and miss a model."""
    assert rgb.shape == (40, 60, 3)
    found = [(0.0, 0.0, 10.0, 10.0)] if mode is Mode.FAST else [(0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0)]
    faces = tuple(FaceResult(box, 0.9, None, None, Detector.YOLO, (Detector.YOLO,)) for box in found)
    skipped = () if mode is Mode.FAST else (Skipped("refine", None, "no such model", "model_missing"),)
    return ImageResult(60, 40, mode, faces, (), skipped, {})


async def test_recall_and_precision_are_summed_over_the_pictures(two_pictures: LabelSet) -> None:
    fast, standard = await evaluate([two_pictures], [Mode.FAST, Mode.STANDARD], examine, min_iou=0.5)
    assert (fast.recall.count, fast.recall.total, fast.precision.count, fast.precision.total) == (2, 3, 2, 2)
    assert (standard.recall.count, standard.recall.total) == (3, 3)
    assert (standard.precision.count, standard.precision.total) == (3, 4)
    assert standard.mean_iou == 1
    assert standard.skipped == ("no such model",)
    assert len(fast.times_ms) == 2


async def test_a_picture_that_cannot_be_read_is_named(two_pictures: LabelSet) -> None:
    two_pictures.pictures[1].path.write_text("no picture")
    with pytest.raises(UsageError, match=r"b\.png"):
        await evaluate([two_pictures], [Mode.FAST], examine, min_iou=0.5)


async def test_unlabelled_pictures_are_only_counted(two_pictures: LabelSet) -> None:
    (counted,) = await count_faces([two_pictures.pictures[0].path], [Mode.FAST, Mode.STANDARD], examine)
    assert counted.counts == ((Mode.FAST, 1), (Mode.STANDARD, 2))
