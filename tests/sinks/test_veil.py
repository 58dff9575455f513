"""Whoever is not named is blurred, before, while and after their face is seen, and nothing brings it back."""

from __future__ import annotations

import math
from dataclasses import replace
from uuid import uuid4

import cv2
import numpy as np
import pytest
from av import VideoFrame

from streamapp.faces import Detector, Floats, Track, TrackState
from streamapp.frame import Box, PixelReader
from streamapp.results import UNKNOWN, Analyses, IdentityAnalysis, IdentityReason, IdentityState, TrackResult
from streamapp.sinks.veil import BLOCKS, LINGER_S, Suspects, Veil, blurred, is_named, padded
from streamapp.zoo.base import infer
from streamapp.zoo.catalogue import recogniser
from tests.pictures import FPS, frame, output, track
from tests.sessions import largest_face, picture, session_of
from tests.shared_data import shared_folder
from tests.sinks.test_overlay import luma_of

FACE = (100.0, 120.0, 180.0, 220.0)
ELSEWHERE = (400.0, 100.0, 480.0, 200.0)
NOBODY = Suspects((), ())
PLAIN = 100


def identity(state: IdentityState, name: str | None) -> Analyses:
    person_id = uuid4() if state is IdentityState.IDENTIFIED else None
    said = IdentityAnalysis(
        "m", 0, "r", 0.0, 3, 0.9, state, IdentityReason.ALIKE, name, person_id, 1.0, 1.0, {}, ()
    )  # fmt: skip
    return Analyses(identity=said)


NAMED = identity(IdentityState.IDENTIFIED, "Ada")
ERASED = identity(IdentityState.IDENTIFIED, None)
STRANGER = identity(IdentityState.UNKNOWN, UNKNOWN)
UNDECIDED = identity(IdentityState.UNDECIDED, None)


def face(
    analyses: Analyses, box: Box = FACE, *, track_id: int = 1, state: TrackState = TrackState.CONFIRMED
) -> TrackResult:
    return replace(track(box, track_id=track_id, state=state), analyses=analyses)


def tentative(box: Box, track_id: int = 1) -> Suspects:
    return Suspects((Track(track_id, box, 0.9, Detector.MEDIAPIPE, TrackState.TENTATIVE),), ())


def noise(width: int = 640, height: int = 480) -> VideoFrame:
    pixels = np.random.default_rng(1).integers(16, 235, (height * 3 // 2, width), np.uint8)
    return VideoFrame.from_ndarray(pixels, format="yuv420p")


def hides(boxes: tuple[Box, ...] | None, box: Box, margin: float = 0.2) -> bool:
    """Whether all of a box, and not just barely, is within what is blurred."""
    if boxes is None:
        return True
    x1, y1, x2, y2 = box
    side = margin * (x2 - x1)
    return any(b[0] <= x1 - side and b[1] <= y1 - side and b[2] >= x2 + side and b[3] >= y2 + side for b in boxes)


def seen(
    veil: Veil, *tracks: TrackResult, index: int = 0, suspects: Suspects | None = NOBODY
) -> tuple[Box, ...] | None:
    return veil.boxes(output(index, *tracks, video=noise()).result, suspects)


@pytest.mark.parametrize(
    "analyses", [Analyses(), STRANGER, UNDECIDED, ERASED], ids=["not compared", "unknown", "undecided", "erased"]
)
def test_whoever_is_nobody_by_now_is_blurred(analyses: Analyses) -> None:
    assert not is_named(analyses)
    assert hides(seen(Veil(), face(analyses)), FACE)


def test_who_is_named_is_clear_and_everybody_else_is_not() -> None:
    boxes = seen(Veil(), face(NAMED), face(STRANGER, ELSEWHERE, track_id=2))
    assert boxes is not None
    assert len(boxes) == 1
    assert hides(boxes, ELSEWHERE)


def test_who_is_named_but_not_seen_in_this_frame_is_blurred() -> None:
    assert hides(seen(Veil(), face(NAMED, state=TrackState.COASTING)), FACE)


def test_a_face_is_blurred_before_it_is_a_track() -> None:
    assert hides(seen(Veil(), suspects=tentative(FACE)), FACE)


def test_a_name_lifts_the_veil_and_its_loss_brings_it_back_with_the_same_frame() -> None:
    veil = Veil()
    assert hides(seen(veil, face(UNDECIDED)), FACE)
    assert seen(veil, face(NAMED), index=1) == ()
    assert hides(seen(veil, face(ERASED), index=2), FACE)


def test_a_face_that_turned_away_stays_blurred_for_a_while() -> None:
    veil = Veil()
    seen(veil, face(STRANGER))
    last = round(LINGER_S * FPS)
    assert all(hides(seen(veil, index=index), FACE) for index in range(1, last))
    assert seen(veil, index=last + 2) == ()


def test_it_does_not_linger_over_somebody_who_is_named_and_seen_there() -> None:
    veil = Veil()
    seen(veil, suspects=tentative(FACE, 7))
    assert seen(veil, face(NAMED), index=1) == ()


def test_what_is_seen_afar_is_blurred_unless_it_is_somebody_who_is_named() -> None:
    afar = Suspects((), (ELSEWHERE, FACE))
    boxes = seen(Veil(), face(NAMED), suspects=afar)
    assert boxes is not None
    assert len(boxes) == 1
    assert hides(boxes, ELSEWHERE)


def test_a_face_that_moves_is_blurred_on_its_way() -> None:
    veil = Veil()
    seen(veil, face(STRANGER))
    moved = (FACE[0] + 60, FACE[1], FACE[2] + 60, FACE[3])
    boxes = seen(veil, face(STRANGER, moved), index=1)
    assert hides(boxes, FACE)
    assert hides(boxes, moved)


def test_boxes_of_one_face_become_one() -> None:
    shifted = tuple((FACE[0] + shift, FACE[1], FACE[2] + shift, FACE[3]) for shift in range(0, 20, 4))
    boxes = seen(Veil(), face(STRANGER), suspects=Suspects((), shifted))
    assert boxes is not None
    assert len(boxes) == 1
    assert all(hides(boxes, box, margin=0) for box in shifted)


@pytest.mark.parametrize("suspects", [None, Suspects((), None)], ids=["nobody looked", "not all was looked at"])
def test_what_was_not_looked_at_is_blurred_as_a_whole(suspects: Suspects | None) -> None:
    video = noise()
    veiled = Veil().over(output(0, face(NAMED), video=video), suspects)
    assert veiled.veiled == ((0.0, 0.0, 640.0, 480.0),)
    assert luma_of(veiled.frame.video).std() < 8 < 60 < luma_of(video).std()


@pytest.mark.parametrize("side", [math.nan, math.inf])
def test_a_box_that_is_nowhere_blurs_everything(side: float) -> None:
    assert seen(Veil(), face(STRANGER, (side, 0, 10, 10))) is None


def test_only_what_has_to_be_is_blurred_and_the_original_is_left_alone() -> None:
    video = noise()
    before = luma_of(video)
    veiled = Veil().over(output(0, face(STRANGER), video=video), NOBODY)
    assert veiled.veiled is not None
    x1, y1, x2, y2 = (round(side) for side in veiled.veiled[0])
    changed = luma_of(veiled.frame.video) != before
    assert changed[y1:y2, x1:x2].mean() > 0.9
    changed[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2] = False
    assert not changed.any()
    assert np.array_equal(luma_of(video), before)


def test_nothing_is_left_but_the_means_of_a_few_blocks() -> None:
    """Two faces that differ in every pixel and have the same means come out the same: nothing can tell them apart."""
    rng = np.random.default_rng(2)
    side, cell = 16 * BLOCKS, 16
    pictures = []
    means = rng.integers(60, 180, (BLOCKS, BLOCKS))
    for _ in range(2):
        details = rng.integers(-40, 40, (BLOCKS, cell, BLOCKS, cell))
        details -= details[:, ::-1, :, ::-1]  # adds up to nothing in each block
        luma = (means[:, None, :, None] + details // 2).reshape(side, side).astype(np.uint8)
        pixels = np.full((side * 3 // 2, side), 128, np.uint8)
        pixels[:side] = luma
        pictures.append(VideoFrame.from_ndarray(pixels, format="yuv420p"))
    boxes = [(0.0, 0.0, float(side), float(side))]
    reader = PixelReader()
    one, other = (luma_of(blurred(frame(video=video), boxes, reader).video).astype(int) for video in pictures)
    assert np.abs(luma_of(pictures[0]).astype(int) - luma_of(pictures[1])).mean() > 10
    assert np.abs(one - other).max() <= 2
    small = cv2.resize(one.astype(np.uint8), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    assert np.abs(one - again).mean() < 6, "there is no more in it than that many blocks hold"


@pytest.mark.parametrize("size", [(64, 48), (641, 481), (2, 2), (1, 1), (130, 66)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "rgb24", "gray"])
def test_every_size_and_format_comes_out_even_with_its_time_and_without_its_coding(
    size: tuple[int, int], pixel_format: str
) -> None:
    video = VideoFrame.from_ndarray(
        np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), np.uint8), format="rgb24"
    ).reformat(format=pixel_format)
    of = replace(frame(5, video=video), codec="h264")
    boxes = [(-50.0, -50.0, 5000.0, 20.0), (900.0, 900.0, 990.0, 990.0), (3.0, 3.0, 4.0, 9.0)]
    made = blurred(of, boxes, PixelReader())
    assert (made.video.width, made.video.height) == (max(2, size[0] & ~1), max(2, size[1] & ~1))
    assert (made.video.format.name, made.video.pts, made.video.time_base) == ("yuv420p", video.pts, video.time_base)
    assert (made.index, made.pts_s, made.codec) == (of.index, of.pts_s, None)


@pytest.mark.weights
@pytest.mark.media
def test_a_recogniser_that_is_told_where_the_face_is_does_no_better_than_by_chance() -> None:
    name, reader = "arcface-mbf-w600k-int8", PixelReader()
    paths = sorted(shared_folder("media/portraits").glob("*.jpg"))
    vectors: dict[str, list[Floats]] = {"as is": [], "soft": [], "veiled": []}
    for path in paths:
        rgb = picture(f"portraits/{path.name}")
        face = largest_face(rgb)
        of = frame(video=VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"))
        x1, y1, x2, y2 = face.box.tolist()
        shown = {
            "as is": rgb,
            "soft": np.asarray(cv2.GaussianBlur(rgb, (0, 0), 2), np.uint8),
            "veiled": reader.rgb(blurred(of, [padded((x1, y1, x2, y2))], reader)),
        }
        for kind, pixels in shown.items():
            (made,) = infer(session_of(name), recogniser(name), [recogniser(name).cut(pixels, face)])
            vectors[kind].append(made.vector)
    known = np.array(vectors["as is"])
    own = {kind: np.array(vectors[kind]) @ known.T for kind in ("soft", "veiled")}
    right = {kind: float((alike.argmax(axis=1) == np.arange(len(paths))).mean()) for kind, alike in own.items()}
    assert right["soft"] == 1.0
    assert right["veiled"] <= 0.3
    assert np.diag(own["veiled"]).max() < 0.5 < 0.85 < np.diag(own["soft"]).min()
