"""Each mode does all that the one before does."""

from __future__ import annotations

from streamapp.faces import Detections, Detector, Mode


def test_each_mode_asks_the_detectors_of_the_one_before_and_in_their_order() -> None:
    assert Mode.FAST.detectors == (Detector.MEDIAPIPE,)
    assert Mode.STANDARD.detectors == (Detector.MEDIAPIPE, Detector.YOLO)
    assert Mode.PRECISION.detectors == Mode.FULL.detectors == (Detector.MEDIAPIPE, Detector.YOLO, Detector.MTCNN)


def test_no_faces_are_no_rows() -> None:
    none = Detections.none(Detector.YOLO)
    assert (len(none), none.boxes.shape, none.scores.shape, none.detector) == (0, (0, 4), (0,), Detector.YOLO)
