"""Pictures in memory that two processes see."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Iterator

import av
import numpy as np
import pytest

from streamapp.frame import Frame, PixelReader
from streamapp.sources.child.memory import FEW_FREE, PictureMemory
from streamapp.sources.child.messages import DecodedPicture, Garbled
from streamapp.sources.child.slots import CLOSED, SLOTS, WANTS_ENCODED, SlotWriter

MAX_PIXELS = 320 * 240


@pytest.fixture
def memory() -> Iterator[PictureMemory]:
    memory = PictureMemory(MAX_PIXELS)
    yield memory
    memory.close()


@pytest.fixture
def writer(memory: PictureMemory) -> SlotWriter:
    return SlotWriter(memory.descriptor, MAX_PIXELS)


def noise(pixel_format: str, width: int = 160, height: int = 122, seed: int = 0) -> av.VideoFrame:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)


def said_of(writer: SlotWriter, video: av.VideoFrame) -> DecodedPicture:
    slot, written, lines = writer.write(video)
    name = written.format.name
    colours = int(written.color_range), int(written.colorspace)
    return DecodedPicture(slot, written.width, written.height, name, *colours, lines, 0.0, 0.0, None, has_coded=False)


def rgb(video: av.VideoFrame) -> object:
    return PixelReader().rgb(Frame("x", 0, 0.0, 0.0, 0.0, 0.0, video)).tolist()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "gray"])
def test_a_picture_is_the_same_on_the_other_side(memory: PictureMemory, writer: SlotWriter, pixel_format: str) -> None:
    video = noise(pixel_format)
    video.colorspace, video.color_range = 1, 2
    seen = memory.picture(said_of(writer, video))
    assert (seen.width, seen.height, seen.format.name) == (160, 122, pixel_format)
    assert (seen.colorspace, seen.color_range) == (1, 2)
    assert rgb(seen) == rgb(video)


@pytest.mark.parametrize(("pixel_format", "width"), [("yuv420p10le", 160), ("rgb24", 160), ("yuv420p", 161)])
def test_others_are_converted_without_losing_colour(
    memory: PictureMemory, writer: SlotWriter, pixel_format: str, width: int
) -> None:
    seen = memory.picture(said_of(writer, noise(pixel_format, width, 121)))
    assert (seen.width, seen.height, seen.format.name) == (width, 121, "yuv444p")


def test_a_slot_is_free_again_when_nobody_looks_at_its_picture(memory: PictureMemory, writer: SlotWriter) -> None:
    first = memory.picture(said_of(writer, noise("yuv420p", seed=1)))
    second = memory.picture(said_of(writer, noise("yuv420p", seed=2)))
    before = rgb(second)
    del first
    gc.collect()
    assert memory.held == 1
    assert said_of(writer, noise("yuv420p", seed=3)).slot == 0
    assert rgb(second) == before


def test_pictures_outlive_the_memory() -> None:
    memory = PictureMemory(MAX_PIXELS)
    video = noise("yuv420p")
    seen = memory.picture(said_of(SlotWriter(memory.descriptor, MAX_PIXELS), video))
    memory.close()
    del memory
    gc.collect()
    assert rgb(seen) == rgb(video)


def test_a_reader_that_keeps_everything_gets_copies(memory: PictureMemory, writer: SlotWriter) -> None:
    videos = [noise("yuv420p", seed=number) for number in range(30)]
    kept = [memory.picture(said_of(writer, video)) for video in videos]
    assert memory.held == SLOTS - FEW_FREE
    assert [rgb(seen) for seen in kept] == [rgb(video) for video in videos]


def test_without_a_free_slot_the_picture_is_lost(memory: PictureMemory, writer: SlotWriter) -> None:
    slots = [said_of(writer, noise("gray")).slot for _ in range(SLOTS + 2)]
    assert slots == [*range(SLOTS), -1, -1]
    assert memory.held == 0


def test_flags_cross(memory: PictureMemory, writer: SlotWriter) -> None:
    assert not writer.closed
    assert not writer.wants_encoded
    memory.set_flag(WANTS_ENCODED, True)
    assert writer.wants_encoded
    memory.set_flag(CLOSED, True)
    assert writer.closed


def test_nobody_can_make_it_smaller_under_its_reader(memory: PictureMemory) -> None:
    for size in (0, 1 << 40):
        with pytest.raises(PermissionError):
            os.ftruncate(memory.descriptor, size)


@pytest.mark.parametrize(
    "lie",
    [
        {"slot": SLOTS},
        {"slot": -2},
        {"width": 0},
        {"width": 2**32 - 1, "height": 2**32 - 1},
        {"width": 321, "height": 240},
        {"height": 2**31},
        {"width": 161},
        {"line_bytes": (159, 80, 80)},
        {"line_bytes": (2**32 - 1, 80, 80)},
        {"line_bytes": (160, 2**31, 80)},
        {"pixel_format": "yuv444p"},
        {"color_range": 255},
        {"colorspace": 255},
    ],
    ids=str,
)
def test_a_lie_is_refused(memory: PictureMemory, writer: SlotWriter, lie: dict[str, object]) -> None:
    truth = said_of(writer, noise("yuv420p"))
    with pytest.raises(Garbled):
        memory.picture(dataclasses.replace(truth, **lie))  # type: ignore[arg-type]  # each is of its field's type
    assert memory.picture(truth).width == 160


def test_a_slot_in_use_is_not_given_twice(memory: PictureMemory, writer: SlotWriter) -> None:
    said = said_of(writer, noise("yuv420p"))
    kept = memory.picture(said)
    with pytest.raises(Garbled):
        memory.picture(said)
    assert kept.width == 160
