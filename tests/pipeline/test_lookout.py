"""Every part of a picture is looked at in turn, and small faces are seen in the parts."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.frame import Box
from streamapp.pipeline.lookout import PARTS_PER_FRAME, SHARES, Lookout, parts_of
from tests.fakes import SpotScreener
from tests.pipeline.test_stages import FAR_SIDE, HEIGHT, WIDTH, shown


def inside(box: Box, part: Box) -> bool:
    return box[0] >= part[0] and box[1] >= part[1] and box[2] <= part[2] and box[3] <= part[3]


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (480, 640), (1280, 320), (2, 2)])
def test_a_small_face_lies_whole_in_a_part_wherever_it_is(size: tuple[int, int]) -> None:
    parts = parts_of(*size)
    for share in SHARES:
        side = 0.35 * share * max(size)
        for x in np.linspace(0, max(0.0, size[0] - side), 23).tolist():
            for y in np.linspace(0, max(0.0, size[1] - side), 23).tolist():
                fits = [part for part in parts if inside((x, y, x + side, y + side), part)]
                assert any(part[2] - part[0] <= share * max(size) + 1 for part in fits)


def test_nothing_is_said_before_all_of_the_picture_was_looked_at_and_then_far_faces_are_known() -> None:
    screener = SpotScreener()
    lookout = Lookout(screener)
    spots = [(20, 20, FAR_SIDE), (560, 400, FAR_SIDE), (300, 200, FAR_SIDE)]
    frames = -(-len(parts_of(WIDTH, HEIGHT)) // PARTS_PER_FRAME)
    answers = [lookout.look(shown(index, *spots)) for index in range(2 * frames)]
    assert screener.calls == 2 * frames * PARTS_PER_FRAME
    assert answers[: frames - 1] == [None] * (frames - 1)
    for answer in answers[frames:]:
        assert answer is not None
        for x, y, side in spots:
            assert any(abs(box[0] - x) < 6 and abs(box[1] - y) < 6 and box[2] - box[0] < side + 12 for box in answer)


def test_what_is_gone_is_forgotten_within_a_round() -> None:
    lookout = Lookout(SpotScreener())
    frames = -(-len(parts_of(WIDTH, HEIGHT)) // PARTS_PER_FRAME)
    for index in range(frames):
        lookout.look(shown(index, (300, 200, FAR_SIDE)))
    answers = [lookout.look(shown(frames + index)) for index in range(frames)]
    assert answers[0]
    assert answers[-1] == ()


def test_another_scene_and_another_size_are_looked_at_anew() -> None:
    lookout = Lookout(SpotScreener())
    frames = -(-len(parts_of(WIDTH, HEIGHT)) // PARTS_PER_FRAME)
    for index in range(frames):
        lookout.look(shown(index))
    assert lookout.look(shown(frames)) == ()
    lookout.start_over()
    assert lookout.look(shown(frames + 1)) is None
