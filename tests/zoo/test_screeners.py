"""Both runtimes of the screening net, on real weights and pictures: right on their own, and the same as each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamapp.assets import asset
from streamapp.choices import ScreenRuntime
from streamapp.errors import ModelError, ModelInvalid
from streamapp.faces import Detections, Detector
from streamapp.frame import Image
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.blazeface_litert import LiteRtScreener
from streamapp.zoo.mediapipe_face import MediaPipeScreener
from tests.shared_data import shared_folder
from tests.weights import FULL_RANGE, SHORT_RANGE, weights_of

Opener = Callable[..., FaceScreener]
OPENERS: dict[ScreenRuntime, Opener] = {
    ScreenRuntime.LITERT: LiteRtScreener,
    ScreenRuntime.MEDIAPIPE: MediaPipeScreener,
}

pytestmark = pytest.mark.weights


@pytest.fixture(params=ScreenRuntime)
def opener(request: pytest.FixtureRequest) -> Opener:
    runtime: ScreenRuntime = request.param
    return OPENERS[runtime]


@pytest.fixture
def screener(opener: Opener) -> Iterator[FaceScreener]:
    """The short-range net under each runtime."""
    variant, path = weights_of(*SHORT_RANGE)
    opened = opener(variant.name, path.read_bytes(), min_score=0.5)
    yield opened
    opened.close()


def picture(path: Path) -> Image:
    bgr = cv2.imread(str(path))
    assert bgr is not None, path
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def demo_frames(*wanted: int) -> list[Image]:
    """Frames of the demo clip, RGB, 640x480."""
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        decoded = enumerate(islice(clip.decode(video=0), max(wanted) + 1))
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for i, frame in decoded if i in wanted]


@pytest.fixture(scope="module")
def portrait() -> Image:
    """A near face, at about x 207..436 and y 131..359."""
    return demo_frames(162)[0]


def test_a_near_face_is_found_with_its_keypoints_in_place(screener: FaceScreener, portrait: Image) -> None:
    found = screener.screen(portrait, 0.0)
    assert found.boxes == pytest.approx(np.array([(207, 131, 436, 359)]), abs=4)
    assert found.detector is Detector.MEDIAPIPE
    assert found.scores[0] > 0.9
    assert found.landmarks is None
    assert found.keypoints is not None
    x1, y1, x2, y2 = found.boxes[0]
    right_eye, left_eye, nose, mouth, right_ear, left_ear = found.keypoints[0]
    assert x1 < right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0] < x2
    assert y1 < right_eye[1] < nose[1] < mouth[1] < y2


def test_boxes_are_in_the_pixels_of_the_picture_given(screener: FaceScreener, portrait: Image) -> None:
    small = screener.screen(portrait, 0.0)
    doubled = screener.screen(np.asarray(cv2.resize(portrait, (1280, 960)), np.uint8), 0.1)
    assert doubled.boxes / 2 == pytest.approx(small.boxes, abs=3)
    assert small.keypoints is not None
    assert doubled.keypoints is not None
    assert doubled.keypoints / 2 == pytest.approx(small.keypoints, abs=3)


def test_a_minimum_score_leaves_the_unsure_out(opener: Opener) -> None:
    variant, path = weights_of(*SHORT_RANGE)
    (two,) = demo_frames(384)
    counts = []
    for min_score in (0.5, 0.9, 0.99):
        with closing(opener(variant.name, path.read_bytes(), min_score=min_score)) as screener:
            found = screener.screen(two, 0.0)
        assert (found.scores >= min_score).all()
        counts.append(len(found))
    assert counts == [2, 1, 0]


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (640, 480)])
def test_a_picture_without_faces_has_none_whatever_its_size(screener: FaceScreener, size: tuple[int, int]) -> None:
    width, height = size
    found = screener.screen(np.full((height, width, 3), 90, np.uint8), 0.0)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_a_view_of_a_larger_picture_is_read_as_it_looks(screener: FaceScreener, portrait: Image) -> None:
    wide = np.zeros((500, 700, 3), np.uint8)
    wide[10:490, 30:670] = portrait
    view = wide[10:490, 30:670]
    assert not view.flags.c_contiguous
    assert screener.screen(view, 0.0).boxes == pytest.approx(screener.screen(portrait, 0.1).boxes)


def test_a_closed_screener_says_so_and_may_be_closed_again(screener: FaceScreener) -> None:
    screener.close()
    screener.close()
    with pytest.raises(ModelError, match="closed"):
        screener.screen(np.zeros((48, 64, 3), np.uint8), 0.0)


def test_weights_of_something_else_are_refused(opener: Opener) -> None:
    with pytest.raises(ModelInvalid):
        opener("junk", b"TFL3 this is no model" * 100, min_score=0.5)


def test_a_face_at_the_edge_keeps_its_place(portrait: Image) -> None:
    """MediaPipe moves such a box inside the picture; ours may begin outside of it."""
    variant, path = weights_of(*SHORT_RANGE)
    screener = LiteRtScreener(variant.name, path.read_bytes(), min_score=0.5)
    whole = screener.screen(portrait, 0.0)
    cut = int(whole.boxes[0, 0]) + 20
    halved = screener.screen(np.ascontiguousarray(portrait[:, cut:]), 0.1)
    assert len(halved) == 1
    assert halved.boxes[0, 0] < 0
    assert halved.boxes[0] + np.array([cut, 0, cut, 0]) == pytest.approx(whole.boxes[0], abs=30)


def same(ours: Detections, theirs: Detections, image: Image, tolerance_px: float) -> int:
    """Asserts that both found the same. Returns how many boxes were compared: MediaPipe's are right only inside."""
    height, width = image.shape[:2]
    scale = max(1.0, max(width, height) / 640)
    assert ours.scores == pytest.approx(theirs.scores, abs=0.03)
    if not len(ours):
        return 0
    assert ours.keypoints is not None
    assert theirs.keypoints is not None
    assert ours.keypoints == pytest.approx(theirs.keypoints, abs=tolerance_px * scale)
    inside = ((ours.boxes > 0) & (ours.boxes < np.array([width, height, width, height]))).all(axis=1)
    assert ours.boxes[inside] == pytest.approx(theirs.boxes[inside], abs=tolerance_px * scale)
    return int(inside.sum())


def compare_runtimes(names: tuple[str, ...], images: list[Image], tolerance_px: float) -> int:
    variant, path = weights_of(*names)
    weights = path.read_bytes()
    with (
        closing(LiteRtScreener(variant.name, weights, min_score=0.5)) as ours,
        closing(MediaPipeScreener(variant.name, weights, min_score=0.5)) as theirs,
    ):
        return sum(same(ours.screen(image, 0.0), theirs.screen(image, 0.0), image, tolerance_px) for image in images)


@pytest.mark.parametrize(("names", "tolerance_px"), [(SHORT_RANGE, 2.0), (FULL_RANGE, 3.0)], ids=["short", "full"])
def test_both_runtimes_find_the_same_faces_in_the_demo(names: tuple[str, ...], tolerance_px: float) -> None:
    assert compare_runtimes(names, demo_frames(*range(0, 430, 20)), tolerance_px) >= 18


@pytest.mark.media
@pytest.mark.parametrize(("names", "tolerance_px"), [(SHORT_RANGE, 2.0), (FULL_RANGE, 3.0)], ids=["short", "full"])
def test_both_runtimes_find_the_same_faces_in_photos(names: tuple[str, ...], tolerance_px: float) -> None:
    folders = [shared_folder(name) for name in ("media/groups", "media/portraits", "media/pairs/deepface")]
    images = [picture(file) for folder in folders for file in sorted(folder.glob("*.jpg"))[:12]]
    assert compare_runtimes(names, images, tolerance_px) >= 10


def test_a_screener_that_was_forgotten_does_not_hang_the_process(opener: Opener) -> None:
    program = f"""
import gc, sys
from {opener.__module__} import {opener.__name__}
class Owner: pass
owner = Owner()
owner.owner, owner.screener = owner, {opener.__name__}(sys.argv[2], open(sys.argv[1], "rb").read(), min_score=0.5)
del owner
gc.collect()
print("collected", flush=True)
"""
    variant, weights = weights_of(*SHORT_RANGE)
    command = [sys.executable, "-c", program, str(weights), variant.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "collected\n"
