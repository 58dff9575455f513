"""Lineups and answers for tests of what is asked of the models, without weights."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from streamapp.choices import Profile
from streamapp.faces import Detections, Detector, Floats
from streamapp.findings import DeepfakeScore, Embedding, GenderAge, Liveness
from streamapp.pipeline.examiner import Asker
from streamapp.scheduler.api import Priority
from streamapp.zoo.lineup import Lineup
from streamapp.zoo.session import Device
from tests.fakes import Answer
from tests.zoo.variants import hollow_registry

SCREENER, YOLO, CASCADE, REFINEMENT = "blazeface-short-range", "yolov10n-face", "mtcnn-cascade", "mtcnn-refinement"
ADAFACE, FACENET, ARCFACE = RECOGNISERS = ("adaface-ir101", "facenet-vggface2", "arcface-r100-glint")
ANTISPOOF, GENDER_AGE, DEEPFAKE = "antispoof-mn3", "genderage", "deepfake-vit-v2-fp16"
DETECTORS = (SCREENER, YOLO, "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")
ANALYSTS = (*RECOGNISERS, ANTISPOOF, GENDER_AGE, DEEPFAKE)
EVERYTHING = (*DETECTORS, *ANALYSTS, "deepfake-vit-v2-labels")

Box = tuple[float, float, float, float]


def lineup(folder: Path, *names: str) -> Lineup:
    """What the full profile makes of these variants; of EVERYTHING if none is named."""
    registry = hollow_registry(folder, *(names or EVERYTHING))
    return Lineup.of(registry, Profile.FULL, Device.CPU, screener=None, min_score=0.5)


def seen(detector: Detector, *boxes: Box, points: bool = False, score: float = 0.95) -> Detections:
    columns = np.array(boxes, np.float32).reshape(-1, 4)
    marks = np.array([face_points(box) for box in boxes], np.float32).reshape(-1, 5, 2) if points else None
    return Detections(detector, columns, np.full(len(columns), score, np.float32), marks)


def face_points(box: Box) -> Floats:
    """Where the 5 landmarks of an upright face would be."""
    x1, y1, x2, y2 = box
    shares = np.array([(0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75)], np.float32)
    return np.asarray(shares * (x2 - x1, y2 - y1) + (x1, y1), np.float32)


def answers(
    *,
    mediapipe: tuple[Box, ...] = (),
    yolo: tuple[Box, ...] = (),
    mtcnn: tuple[Box, ...] = (),
    refines: bool = True,
    mtcnn_score: float = 0.95,
) -> dict[str, Answer]:
    """What each operation says; the detectors their boxes, whatever they are shown."""

    def embedding(name: str) -> Answer:
        return lambda _: Embedding.of(name, np.ones(4, np.float32))

    def refined(patch: object) -> Detections:
        box = tuple(patch.box.tolist())  # type: ignore[attr-defined]  # a FacePatch
        return seen(Detector.MTCNN, *([box] if refines else []), points=True)

    return {
        SCREENER: lambda _: seen(Detector.MEDIAPIPE, *mediapipe),
        YOLO: lambda _: seen(Detector.YOLO, *yolo),
        CASCADE: lambda _: seen(Detector.MTCNN, *mtcnn, points=True, score=mtcnn_score),
        REFINEMENT: refined,
        **{name: embedding(name) for name in RECOGNISERS},
        ANTISPOOF: lambda _: Liveness(0.9, (("spoof", 0.1),)),
        GENDER_AGE: lambda _: GenderAge(0.8, 33.0),
        DEEPFAKE: lambda _: DeepfakeScore(0.2),
    }


def asker(owner: str = "test") -> Asker:
    return Asker(owner, Priority.IMAGE, time.monotonic() + 30, "asked for")
