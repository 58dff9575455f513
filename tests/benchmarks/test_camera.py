"""The number that the benchmark's camera writes into its pictures."""

from __future__ import annotations

import av
import numpy as np
import pytest

from benchmarks.camera import PICTURES, decode_blocks, numbered, read_number


def _frame(number: int, width: int, height: int) -> av.VideoFrame:
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    numbered(planes[:height], number)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (480, 270)])
def test_every_number_can_be_read_back(width: int, height: int) -> None:
    assert [read_number(_frame(number, width, height)) for number in range(PICTURES)] == list(range(PICTURES))


def test_a_flipped_picture_still_has_its_number() -> None:
    luma = np.full((480, 640), 128, np.uint8)
    numbered(luma, 37)
    assert (luma[::-1] == luma).all()


def test_a_damaged_number_is_none() -> None:
    levels = [235, 16, 16, 16, 16, 16, 16, 16, 16, 235, 235, 235, 235, 235, 235, 235]
    assert decode_blocks(levels) == 1
    for block in range(len(levels)):
        damaged = [*levels[:block], 251 - levels[block], *levels[block + 1 :]]
        assert decode_blocks(damaged) is None
