"""MTCNN's nets as models, plain and rebuilt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamapp.errors import ModelError, ModelInputInvalid
from streamapp.frame import Image
from streamapp.zoo import catalogue
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.mtcnn import SPECS, Refiner, View, proposals
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from tests.fakes import ScriptedSession
from tests.sessions import session_of
from tests.shared_data import shared_file

ONET = Refiner(SPECS["mtcnn-onet"])


def test_a_proposal_is_the_window_its_cell_judges() -> None:
    scores, regressions = np.zeros((2, 5, 7), np.float32), np.zeros((4, 5, 7), np.float32)
    scores[1, 2, 3], regressions[:, 2, 3] = 0.9, (0.1, 0.2, 0.3, 0.4)
    windows = proposals("mtcnn-pnet", scores, regressions, 0.5, 0.6)
    assert windows.boxes.tolist() == [[14, 10, 37, 33]]
    assert windows.scores.tolist() == pytest.approx([0.9])
    assert windows.moved()[0].tolist() == pytest.approx([16.3, 14.6, 43.9, 42.2], abs=0.01)


def test_a_logit_counts_as_its_probability() -> None:
    regressions = np.zeros((4, 1, 3), np.float32)
    scores = np.array([[[2.0, 0.3, np.nan]]], np.float32)
    windows = proposals("mtcnn-pnet-folded", scores, regressions, 1.0, 0.6)
    assert windows.scores.tolist() == pytest.approx([1 / (1 + np.exp(-2))])


def test_points_come_as_x_and_y() -> None:
    outputs = [np.array((0.1, 0.9)), np.zeros(4), np.array((1, 2, 3, 4, 5, 10, 20, 30, 40, 50))]
    session = ScriptedSession("mtcnn-onet", 48, [output.astype(np.float32) for output in outputs])
    judged = ONET.postprocess(session.run(ONET.preprocess(np.zeros((2, 48, 48, 3), np.uint8))), 2)
    assert judged.scores.tolist() == pytest.approx([0.9, 0.9])
    assert judged.points[1].tolist() == [[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]]


def cut(rgb: Image, *squares: tuple[int, int, int, int], side: int = 48) -> Image:
    boxes = np.array(squares, np.float32)
    return View(rgb, boxes, side).cut(boxes, side)


def test_windows_beside_the_picture_are_black_there() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    (window,) = cut(white, (-24, 0, 24, 48))
    assert window[:, :23].max() == 0
    assert window[:, 25:].min() == 255


@pytest.mark.parametrize("length", [30, 48, 90, 200, 777])
def test_a_window_of_any_size_looks_as_if_its_pixels_were_averaged(length: int) -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (800, 790), interpolation=cv2.INTER_CUBIC)
    picture = np.asarray(smooth, np.uint8)
    square = (7, 5, 7 + length, 5 + length)
    window = picture[5 : 5 + length, 7 : 7 + length]
    averaging = cv2.INTER_AREA if length > 48 else cv2.INTER_LINEAR
    expected = cv2.resize(window, (48, 48), interpolation=averaging).astype(int)
    alone, among = cut(picture, square)[0], cut(picture, (600, 600, 640, 640), square, (0, 0, 790, 790))[1]
    for found in (alone, among):
        assert np.abs(found.astype(int) - expected).mean() < 2
    assert np.abs(alone.astype(int) - expected)[2:-2, 2:-2].max() < 16


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ModelInputInvalid):
        ONET.preprocess(np.zeros((1, 24, 24, 3), np.uint8))
    with pytest.raises(ModelError):
        ONET.postprocess([np.zeros((1, 2), np.float32), np.zeros((1, 4), np.float32)], 1)


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The nets as models/build_mtcnn.py makes them."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("mtcnn")
    script = Path(__file__).parents[2] / "models" / "build_mtcnn.py"
    sources = [str(shared_file(f"models/det{number}.npy")) for number in (1, 2, 3)]
    subprocess.run([sys.executable, str(script), *sources, str(folder)], check=True, timeout=60)
    return Registry(load_manifest(), folder)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("net", "size"), [("pnet", (37, 58)), ("pnet", (12, 12)), ("rnet", (24, 24)), ("onet", (48, 48))]
)
def test_rebuilt_nets_are_the_ones_of_the_manifest_and_answer_as_the_plain_ones(
    rebuilt: Registry, net: str, size: tuple[int, int]
) -> None:
    folded = catalogue.load(rebuilt, rebuilt.manifest.named(f"mtcnn-{net}-folded"), SessionOptions())
    batch = np.random.default_rng(0).standard_normal((3, 3, *size)).astype(np.float32)
    found, expected = list(folded.run(batch)), list(session_of(f"mtcnn-{net}").run(batch))
    if net == "pnet":
        found[0] = (1 / (1 + np.exp(-found[0]))).astype(np.float32)
        expected[0] = expected[0][:, 1:]
    for ours, plain in zip(found, expected, strict=True):
        assert ours.shape == plain.shape
        assert np.abs(ours - plain).max() < 1e-5
    folded.close()
