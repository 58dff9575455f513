"""The best recent crop of each track is what the models are shown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from av import VideoFrame

from streamapp.faces import Detector, Point, Track, TrackState
from streamapp.frame import Box, Frame, PixelReader
from streamapp.pipeline.shots import CONTEXT, MAX_SHOTS, MAX_SIDE, ShotBook, appearance, frontality, sharpness
from tests.pictures import frame, video_frame

NEAR: Box = (200.0, 150.0, 320.0, 290.0)
AHEAD = ((230.0, 200.0), (290.0, 200.0), (260.0, 230.0), (260.0, 260.0), (205.0, 210.0), (315.0, 210.0))
ASIDE = ((230.0, 200.0), (290.0, 200.0), (288.0, 230.0), (280.0, 260.0), (205.0, 210.0), (315.0, 210.0))


def track(
    box: Box = NEAR,
    track_id: int = 1,
    *,
    points: tuple[Point, ...] | None = AHEAD,
    score: float = 0.9,
    state: TrackState = TrackState.CONFIRMED,
) -> Track:
    return Track(track_id, box, score, Detector.MEDIAPIPE, state, None, points)


def noise(index: int, *, blurred: bool = False) -> Frame:
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    if blurred:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 12), np.uint8)
    return frame(index, video=VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p"))


def test_a_shot_shows_the_face_with_its_surroundings() -> None:
    made = ShotBook().consider(noise(30), [track()], PixelReader())[1]
    x1, y1, x2, y2 = made.box
    side = made.pixels.shape[0]
    assert made.pixels.shape == (side, side, 3)
    assert side == pytest.approx(140 * CONTEXT, abs=1)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((side / 2, side / 2), abs=1)
    assert (x2 - x1, y2 - y1) == pytest.approx((120, 140), abs=1)
    assert (made.frame, made.pts_s, made.track_id) == (30, 1.0, 1)


def test_a_shot_is_the_part_of_the_picture_it_says() -> None:
    rgb = np.full((480, 640, 3), 20, np.uint8)
    rgb[150:290, 200:320] = 220
    bright = frame(0, video=VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p"))
    made = ShotBook().consider(bright, [track()], PixelReader())[1]
    x1, y1, x2, y2 = (round(side) for side in made.box)
    assert made.pixels[y1 + 6 : y2 - 6, x1 + 6 : x2 - 6].mean() > 200
    assert made.pixels[: y1 - 6].mean() < 40


def test_large_faces_are_scaled_down_and_ones_at_the_edge_have_black_beside_them() -> None:
    made = ShotBook().consider(noise(0), [track((-50.0, 20.0, 350.0, 440.0))], PixelReader())[1]
    assert made.pixels.shape == (MAX_SIDE, MAX_SIDE, 3)
    assert not made.pixels[:, :40].any()


def test_a_face_turned_away_is_worth_less() -> None:
    assert frontality(track()) == 1.0
    assert frontality(track(points=ASIDE)) < 0.4
    assert frontality(track(points=None)) == 0.5
    assert frontality(track(points=((5.0, 5.0),) * 6)) == 0.5


def test_a_small_or_unsure_face_is_worth_less() -> None:
    assert appearance(track()) == pytest.approx(0.9)
    assert appearance(track((0.0, 0.0, 56.0, 56.0))) == pytest.approx(0.45)
    assert appearance(track(score=0.45)) == pytest.approx(0.45)


def test_a_blurred_face_is_worth_less() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    soft = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 8), np.uint8)
    box = (20.0, 20.0, 180.0, 180.0)
    assert sharpness(rgb, box) > 0.7 > 0.2 > sharpness(soft, box)
    assert sharpness(rgb, (300.0, 300.0, 400.0, 400.0)) == 0.0


def test_the_better_shot_stays_until_it_is_old() -> None:
    book, reader = ShotBook(), PixelReader()
    assert book.consider(noise(0), [track()], reader)[1].frame == 0
    assert book.consider(noise(1), [track(points=ASIDE)], reader)[1].frame == 0
    assert book.consider(noise(2, blurred=True), [track()], reader)[1].frame == 0
    assert book.consider(noise(3), [track(points=ASIDE)], reader)[1].frame == 0
    assert book.consider(noise(90), [track(points=ASIDE)], reader)[1].frame == 90


def test_a_better_one_takes_its_place_at_once() -> None:
    book, reader = ShotBook(), PixelReader()
    book.consider(noise(0), [track(points=ASIDE)], reader)
    assert book.consider(noise(1), [track()], reader)[1].frame == 1


def test_of_a_face_that_looks_the_same_a_few_are_taken_a_second() -> None:
    book, reader = ShotBook(), PixelReader()
    frames = {book.consider(noise(index), [track()], reader)[1].frame for index in range(60)}
    assert 4 <= len(frames) <= 8


def test_one_shot_is_taken_per_frame_and_every_track_has_its_turn() -> None:
    book, reader = ShotBook(), PixelReader()
    tracks = [track((x, 100.0, x + 60, 160.0), n) for n, x in enumerate((0.0, 100.0, 200.0, 300.0))]
    counts = [len(book.consider(noise(index), tracks, reader)) for index in range(5)]
    assert counts == [1, 2, 3, 4, 4]


def test_a_face_of_which_no_shot_is_ever_good_does_not_take_the_turns_of_others() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    rgb[:, 340:] = 128  # a false detection on a wall
    half = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    book, face, wall = ShotBook(), track(), track((450.0, 150.0, 570.0, 290.0), 2)
    shots = [book.consider(frame(index, video=half), [face, wall], PixelReader()) for index in range(61)]
    assert 3 <= len({seen[1].frame for seen in shots[1:]}) <= 6


def test_coasting_tracks_are_not_shot_and_those_gone_are_forgotten() -> None:
    book, reader = ShotBook(), PixelReader()
    assert book.consider(noise(0), [track(state=TrackState.COASTING)], reader) == {}
    book.consider(noise(1), [track()], reader)
    assert book.consider(noise(2), [track(state=TrackState.COASTING)], reader)[1].frame == 1
    assert book.consider(noise(3), [], reader) == {}


def test_there_are_never_more_than_so_many() -> None:
    book, reader = ShotBook(), PixelReader()
    tracks = [track((x * 10.0, 0.0, x * 10.0 + 40, 40.0), x) for x in range(MAX_SHOTS + 4)]
    small = frame(0, video=video_frame(64, 48))
    for _ in tracks:
        kept = book.consider(small, tracks, reader)
    assert len(kept) == MAX_SHOTS


def test_the_shot_of_a_face_is_not_that_of_the_one_that_takes_its_track() -> None:
    book, reader = ShotBook(), PixelReader()
    for index, left in enumerate((100, 101)):
        book.consider(noise(index), [track((left, 100, left + 120, 220))], reader)
    poor = track((200, 150, 240, 190))
    shots = book.consider(noise(2, blurred=True), [poor], reader)
    assert shots[1].frame == 2
