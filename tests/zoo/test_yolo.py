"""YOLO's two kinds of output as faces: right on real pictures, and the same from both."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import ModelError, ModelInputInvalid
from streamapp.faces import Detections, Detector, Floats
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import Letterboxed, infer
from streamapp.zoo.catalogue import detector
from streamapp.zoo.crops import letterbox
from streamapp.zoo.yolo import SPECS, Yolo, suppress
from tests.fakes import ScriptedSession
from tests.sessions import picture, session_of

GROUPS = {
    "groups/facenet_pytorch_multiface.jpg": 6,
    "groups/uniface_src_meeting.jpg": 5,
    "groups/obama_and_biden.jpg": 3,
}
RAW, NMS_FREE = "yolov8-lite-t-face", "yolov8-lite-t-face-nms-free"


def found(name: str, *pictures: str) -> list[Detections]:
    items = [letterbox(picture(relative), 640) for relative in pictures]
    return list(infer(session_of(name), detector(name), items))


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", [RAW, NMS_FREE])
def test_every_face_of_a_group_is_found(name: str) -> None:
    for faces, count in zip(found(name, *GROUPS), GROUPS.values(), strict=True):
        assert len(faces) == count
        assert faces.detector is Detector.YOLO
        assert (np.diff(faces.scores) <= 0).all()


@pytest.mark.weights
@pytest.mark.media
def test_a_known_picture_gives_known_boxes_and_points() -> None:
    (faces,) = found(RAW, "groups/facenet_pytorch_multiface.jpg")
    assert np.abs(faces.boxes[0] - (422.2, 127.4, 506.3, 243.2)).max() < 1
    assert faces.scores[0] == pytest.approx(0.80, abs=0.01)
    assert faces.landmarks is not None
    expected = ((454, 175), (492, 177), (474, 198), (451, 214), (483, 217))
    assert np.abs(faces.landmarks[0] - np.array(expected)).max() < 1.5


@pytest.mark.weights
@pytest.mark.media
def test_landmarks_lie_in_their_box_in_the_order_seen() -> None:
    for faces in found(RAW, *GROUPS):
        assert faces.landmarks is not None
        for box, points in zip(faces.boxes, faces.landmarks, strict=True):
            assert (points >= box[:2]).all()
            assert (points <= box[2:]).all()
            left_eye, right_eye, _, left_mouth, right_mouth = points
            assert left_eye[0] < right_eye[0]
            assert left_mouth[0] < right_mouth[0]
            assert left_eye[1] < left_mouth[1]


@pytest.mark.weights
@pytest.mark.media
def test_both_kinds_of_output_of_the_same_weights_agree() -> None:
    for raw, folded in zip(found(RAW, *GROUPS), found(NMS_FREE, *GROUPS), strict=True):
        assert folded.landmarks is None
        assert pairwise_iou(raw.boxes, folded.boxes).max(axis=1).min() > 0.95


@pytest.mark.weights
@pytest.mark.media
def test_a_batch_gives_what_its_pictures_give_alone() -> None:
    together = found(RAW, *GROUPS)
    for faces, relative in zip(together, GROUPS, strict=True):
        (alone,) = found(RAW, relative)
        assert np.abs(faces.boxes - alone.boxes).max() < 0.1


def rows(*faces: tuple[float, float, float, float, float]) -> Floats:
    filled = np.zeros((300, 6), np.float32)
    filled[: len(faces), :5] = faces
    return filled


def test_the_output_without_suppression_is_taken_as_it_is_best_first() -> None:
    output = rows((100, 100, 200, 200, 0.5), (102, 100, 202, 200, 0.9), (0, 0, 9, 9, 0.1), (0, 0, 9, 9, np.nan))
    session = ScriptedSession("yolov10n-face", 640, [output])
    item = letterbox(np.zeros((320, 640, 3), np.uint8), 640)
    (faces,) = infer(session, Yolo(SPECS["yolov10n-face"]), [item])
    assert faces.scores.tolist() == pytest.approx([0.9, 0.5])
    assert faces.boxes[0].tolist() == [102, -60, 202, 40]


def test_pictures_and_outputs_of_the_wrong_size_are_refused() -> None:
    model = Yolo(SPECS["yolov10n-face"])
    with pytest.raises(ModelInputInvalid):
        model.preprocess([letterbox(np.zeros((9, 9, 3), np.uint8), 480)])
    item = Letterboxed(np.zeros((640, 640, 3), np.uint8), 1.0, 0, 0)
    with pytest.raises(ModelError, match="shape"):
        model.postprocess([np.zeros((1, 300, 5), np.float32)], [item])
    with pytest.raises(ModelError, match="for 2 items"):
        model.postprocess([np.zeros((1, 300, 6), np.float32)], [item, item])


def test_suppression_keeps_the_surest_of_each_cluster() -> None:
    boxes = np.array(((0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60), (5, 0, 15, 10)), np.float32)
    scores = np.array((0.6, 0.9, 0.3, 0.5), np.float32)
    assert suppress(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert suppress(boxes[:0], scores[:0], 0.5).tolist() == []
