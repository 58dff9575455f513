"""From BlazeFace's raw output to faces."""

from __future__ import annotations

from itertools import islice

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.assets import asset
from streamapp.errors import ModelError, ModelInputInvalid
from streamapp.faces import Detector, Floats
from streamapp.zoo.base import Letterboxed, infer
from streamapp.zoo.blazeface import SPECS, BlazeFace, anchor_centres, blend, decode, score_threshold
from streamapp.zoo.blazeface_litert import LiteRtScreener, squared
from tests.sessions import session_of
from tests.weights import SHORT_RANGE, weights_of


def face(x: float, y: float, side: float) -> Floats:
    """8 points of a face: a square box around x, y and all keypoints at its centre."""
    half = side / 2
    return np.array([(x - half, y - half), (x + half, y + half), *[(x, y)] * 6], np.float32)


def test_anchors_lie_in_the_middle_of_their_cells_row_by_row() -> None:
    short = anchor_centres(896)
    assert short.shape == (896, 2)
    assert short[0] == pytest.approx(short[1])
    assert short[0] == pytest.approx((0.5 / 16, 0.5 / 16))
    assert short[2] == pytest.approx((1.5 / 16, 0.5 / 16))
    assert short[32] == pytest.approx((0.5 / 16, 1.5 / 16))
    assert short[512:518] == pytest.approx(np.full((6, 2), 0.5 / 8))
    full = anchor_centres(2304)
    assert full[[0, 1, 48]] == pytest.approx(np.array([(0.5, 0.5), (1.5, 0.5), (0.5, 1.5)]) / 48)


@given(st.floats(0.01, 0.99))
def test_the_threshold_is_the_inverse_of_the_logistic_function(score: float) -> None:
    assert 1 / (1 + np.exp(-score_threshold(score))) == pytest.approx(score)


def test_thresholds_at_the_ends_let_everything_and_nothing_pass() -> None:
    assert score_threshold(0) == -np.inf
    assert score_threshold(1) == np.inf


def test_raw_values_are_pixels_from_the_anchor() -> None:
    raw = np.array([[12.8, -6.4, 25.6, 12.8, *[6.4, 12.8] * 6]], np.float32)
    points, scores = decode(raw, np.array([0.0], np.float32), np.array([[0.5, 0.5]], np.float32), 128)
    assert points[0, :2] == pytest.approx(np.array([(0.5, 0.4), (0.7, 0.5)]), abs=1e-6)
    assert points[0, 2:] == pytest.approx(np.full((6, 2), (0.55, 0.6)), abs=1e-6)
    assert scores == pytest.approx([0.5])


def test_boxes_without_area_and_values_that_are_no_numbers_are_left_out() -> None:
    raw = np.ones((4, 16), np.float32)
    raw[1, 2], raw[2, 3], raw[3, 2] = 0, -1, np.nan
    points, scores = decode(raw, np.zeros(4, np.float32), np.zeros((4, 2), np.float32), 128)
    assert len(points) == len(scores) == 1


def test_extreme_scores_neither_overflow_nor_leave_0_to_1() -> None:
    _, scores = decode(
        np.ones((2, 16), np.float32), np.array([-1e30, 1e30], np.float32), np.zeros((2, 2), np.float32), 1
    )
    assert scores == pytest.approx([0, 1])


def test_overlapping_boxes_become_their_mean_weighted_by_score() -> None:
    points = np.stack([face(0.5, 0.5, 0.2), face(0.52, 0.5, 0.2), face(0.1, 0.1, 0.1)])
    faces, scores = blend(points, np.array([0.6, 0.9, 0.7], np.float32))
    assert scores == pytest.approx([0.9, 0.7])
    assert faces[0] == pytest.approx((points[0] * 0.6 + points[1] * 0.9) / 1.5, abs=1e-6)
    assert faces[1] == pytest.approx(points[2], abs=1e-6)


def test_boxes_that_overlap_little_stay_two_faces() -> None:
    # Two squares of side 1, shifted by s, overlap by (1 - s) / (1 + s): over .3 up to s = .538.
    apart, close = np.stack([face(0, 0, 1), face(0.55, 0, 1)]), np.stack([face(0, 0, 1), face(0.53, 0, 1)])
    scores = np.array([0.9, 0.8], np.float32)
    assert len(blend(apart, scores)[0]) == 2
    assert len(blend(close, scores)[0]) == 1


def test_no_boxes_are_no_faces() -> None:
    faces, scores = blend(np.zeros((0, 8, 2), np.float32), np.zeros(0, np.float32))
    assert faces.shape == (0, 8, 2)
    assert scores.shape == (0,)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.5), st.floats(0.05, 1)), min_size=1, max_size=30
    )
)
def test_faces_come_best_first_and_within_what_they_were_made_of(given_faces: list[tuple[float, ...]]) -> None:
    points = np.stack([face(x, y, side) for x, y, side, _ in given_faces])
    faces, scores = blend(points, np.array([score for *_, score in given_faces], np.float32))
    assert 1 <= len(faces) <= len(points)
    assert (np.diff(scores) <= 0).all()
    assert scores[0] == pytest.approx(max(score for *_, score in given_faces))
    assert (faces >= points.min(axis=0) - 1e-5).all()
    assert (faces <= points.max(axis=0) + 1e-5).all()


SHORT = BlazeFace(SPECS["blazeface-short-range"])
FULL = BlazeFace(SPECS["blazeface-full-range-sparse"])


def raw_answer(model: BlazeFace, *hits: tuple[int, float]) -> list[Floats]:
    """Outputs for one item: at each anchor a box of a quarter of the input and keypoints in its middle, of that raw
    score; nothing elsewhere."""
    count = len(anchor_centres(896 if model is SHORT else 2304))
    scores, points = np.full((1, count, 1), -50, np.float32), np.zeros((1, count, 16), np.float32)
    for anchor, score in hits:
        scores[0, anchor], points[0, anchor, 2:4] = score, model.spec.side / 4
    return [points, scores] if model is FULL else [scores, points]


def view(model: BlazeFace, scale: float = 1.0, left: float = 0.0, top: float = 0.0) -> Letterboxed:
    return Letterboxed(np.zeros((model.spec.side, model.spec.side, 3), np.uint8), scale, left, top)


@pytest.mark.parametrize("model", [SHORT, FULL], ids=["short", "full"])
def test_pixels_become_minus_one_to_one_channels_last(model: BlazeFace) -> None:
    side = model.spec.side
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    batch = model.preprocess([Letterboxed(ramp, 1, 0, 0), view(model)])
    assert batch.shape == (2, side, side, 3)
    assert batch.dtype == np.float32
    assert (batch[0].min(), batch[0].max(), batch[1].max()) == pytest.approx((-1, 1, -1))
    assert batch[0] == pytest.approx(ramp / 127.5 - 1, abs=1e-6)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ModelInputInvalid, match="128"):
        SHORT.preprocess([view(FULL)])


@pytest.mark.parametrize("model", [SHORT, FULL], ids=["short", "full"])
def test_faces_are_told_in_pixels_of_the_picture(model: BlazeFace) -> None:
    anchor, side = 100, model.spec.side
    centre = anchor_centres(896 if model is SHORT else 2304)[anchor] * side
    (found,) = model.postprocess(raw_answer(model, (anchor, 3.0)), [view(model, 0.2, 0.0, 16.0)])
    expected = np.concatenate([centre - side / 8, centre + side / 8]).reshape(2, 2)
    assert found.boxes == pytest.approx(((expected - (0, 16)) / 0.2).reshape(1, 4), abs=0.01)
    assert found.scores == pytest.approx([1 / (1 + np.exp(-3))])
    assert found.keypoints == pytest.approx(np.tile((centre - (0, 16)) / 0.2, (1, 6, 1)), abs=0.01)
    assert found.detector is Detector.MEDIAPIPE
    assert found.landmarks is None


def test_items_of_a_batch_do_not_mix() -> None:
    one, other = raw_answer(SHORT, (100, 3.0)), raw_answer(SHORT)
    outputs = [np.concatenate(pair) for pair in zip(one, other, strict=True)]
    assert [len(found) for found in SHORT.postprocess(outputs, [view(SHORT)] * 2)] == [1, 0]


def test_scores_below_the_limit_or_that_are_no_numbers_are_no_faces() -> None:
    answer = raw_answer(SHORT, (100, 0.5), (300, float("nan")))
    assert len(SHORT.postprocess(answer, [view(SHORT)])[0]) == 1
    strict = BlazeFace(SPECS["blazeface-short-range"], min_score=0.7)
    assert len(strict.postprocess(answer, [view(SHORT)])[0]) == 0


def test_outputs_of_another_net_are_refused() -> None:
    with pytest.raises(ModelError, match="blazeface-short-range"):
        SHORT.postprocess(raw_answer(FULL), [view(SHORT)])
    with pytest.raises(ModelError):
        SHORT.postprocess(raw_answer(SHORT), [view(SHORT)] * 2)


@pytest.mark.weights
def test_as_a_model_it_finds_what_the_stream_s_screener_finds() -> None:
    variant, path = weights_of(*SHORT_RANGE)
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        pictures = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in islice(clip.decode(video=0), 163)][
            ::54
        ]
    screener, session = LiteRtScreener(variant.name, path.read_bytes(), min_score=0.5), session_of(variant.name)
    together = infer(session, BlazeFace(SPECS[variant.name]), [squared(picture, 128) for picture in pictures])
    assert sum(map(len, together)) > 0
    for found, picture in zip(together, pictures, strict=True):
        expected = screener.screen(picture, 0.0)
        assert np.array_equal(found.boxes, expected.boxes)
        assert np.array_equal(found.scores, expected.scores)
    screener.close()
