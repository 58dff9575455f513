"""Tracks are burnt in where they are, whatever the picture's size and format, and without touching the original."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from av import VideoFrame
from numpy.typing import NDArray

from streamapp.faces import TrackState
from streamapp.sinks.overlay import PALETTE_YUV, OverlayPainter
from tests.pictures import output, track, video_frame


def luma_of(picture: VideoFrame) -> NDArray[np.uint8]:
    """The Y plane [height, width] of a yuv420p picture."""
    plane = picture.planes[0]
    return np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()


def test_the_box_is_drawn_on_its_edges_and_the_inside_is_left_alone() -> None:
    painted = OverlayPainter().paint(output(0, track((100, 120, 220, 240)), video=video_frame(640, 480)))
    luma = luma_of(painted)
    plain = luma_of(video_frame(640, 480))[0, 0]
    edge_luma = PALETTE_YUV[1][0]
    for y, x in ((120, 160), (240, 160), (180, 100), (180, 220)):
        assert luma[y, x] == edge_luma
    assert luma[200, 200] == plain
    assert luma[400, 500] == plain


def test_the_original_picture_is_not_changed() -> None:
    video = video_frame(320, 240)
    before = luma_of(video).copy()
    OverlayPainter().paint(output(0, track(), video=video))
    assert np.array_equal(luma_of(video), before)


@pytest.mark.parametrize("size", [(64, 48), (641, 481), (2, 2), (1, 1), (130, 66), (854, 480)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "rgb24", "gray"])
def test_every_size_and_format_comes_out_even_and_yuv420p(size: tuple[int, int], pixel_format: str) -> None:
    video = video_frame(*size, pixel_format=pixel_format)
    painted = OverlayPainter().paint(output(0, track((-50, -50, 5000, 20)), video=video))
    assert painted.format.name == "yuv420p"
    assert (painted.width, painted.height) == (max(2, size[0] & ~1), max(2, size[1] & ~1))
    assert painted.pts == video.pts


def test_a_coasting_track_is_dashed() -> None:
    box = (40, 40, 280, 200)
    solid = luma_of(OverlayPainter().paint(output(0, track(box), video=video_frame(320, 240))))
    coasting = output(0, track(box, state=TrackState.COASTING), video=video_frame(320, 240))
    dashed = luma_of(OverlayPainter().paint(coasting))
    assert 0.3 < (dashed[200, 40:280] == PALETTE_YUV[1][0]).mean() < 0.7
    assert (solid[200, 40:280] == PALETTE_YUV[1][0]).all()


def test_a_box_that_is_not_a_number_is_left_out() -> None:
    video = video_frame(320, 240)
    painted = OverlayPainter().paint(output(0, track((math.nan, 0, 10, 10)), video=video))
    assert np.array_equal(luma_of(painted), luma_of(video))


def test_of_a_blurred_face_no_points_are_drawn() -> None:
    shown = output(0, track((100, 120, 220, 240)), video=video_frame(640, 480))
    x, y = (round(side) for side in shown.result.tracks[0].keypoints[3])  # type: ignore[index]  # it has some
    for veiled, is_drawn in ((None, True), ((), False)):
        luma = luma_of(OverlayPainter().paint(replace(shown, veiled=veiled)))
        assert bool(luma[y, x] == PALETTE_YUV[1][0]) is is_drawn
