"""Pixels come out right whatever the decoder gave: size, format, range and matrix."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from streamapp.assets import asset
from streamapp.frame import Frame, Letterbox, PixelReader, fitted_size
from tests.pictures import frame

SIDE = 128


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """A real picture, RGB."""
    import av

    with av.open(str(asset("recordings/demo.mp4"))) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)


def yuv(
    picture: NDArray[np.uint8], width: int, height: int, matrix: Colorspace, colour_range: ColorRange, name: str
) -> Frame:
    source = VideoFrame.from_ndarray(picture, format="rgb24")
    video = source.reformat(
        width=width, height=height, format=name, dst_colorspace=matrix, dst_color_range=colour_range
    )
    video.colorspace, video.color_range = matrix, colour_range
    return frame(0, video=video)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640), (322, 242), (127, 95)])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_the_letterboxed_picture_is_the_picture(
    picture: NDArray[np.uint8], size: tuple[int, int], matrix: Colorspace, colour_range: ColorRange
) -> None:
    of = yuv(picture, *size, matrix, colour_range, "yuv420p")
    square, box = PixelReader().letterboxed_rgb(of, SIDE)
    expected, same_box = PixelReader().letterboxed_rgb(yuv(picture, *size, matrix, colour_range, "gbrp"), SIDE)
    assert box == same_box == Letterbox.of(*size, SIDE)
    difference = np.abs(square.astype(int) - expected.astype(int))
    assert difference.mean() < 3.0
    assert abs(square.astype(float).mean(axis=(0, 1)) - expected.astype(float).mean(axis=(0, 1))).max() < 2.0


def test_the_margins_are_black(picture: NDArray[np.uint8]) -> None:
    square, _ = PixelReader().letterboxed_rgb(
        yuv(picture, 640, 320, Colorspace.ITU601, ColorRange.MPEG, "yuv420p"), SIDE
    )
    assert square[:30].max() <= 1
    assert square[-30:].max() <= 1
    assert square[40:-40].mean() > 50


def test_a_letterbox_maps_corners_to_corners() -> None:
    box = Letterbox.of(640, 480, SIDE)
    assert (box.scale, box.margin_x, box.margin_y) == (5.0, 0.0, 80.0)
    assert np.allclose(box.transform() @ (0, 0, 1), (0, 16))
    assert np.allclose(box.transform() @ (640, 480, 1), (128, 112))


@pytest.mark.parametrize(
    ("size", "max_side", "fitted"),
    [
        ((640, 480), None, (640, 480)),
        ((640, 480), 320, (320, 240)),
        ((100, 50), 320, (100, 50)),
        ((3840, 20), 320, (320, 2)),
    ],
)
def test_fitted_size_keeps_the_aspect_and_is_even(
    size: tuple[int, int], max_side: int | None, fitted: tuple[int, int]
) -> None:
    assert fitted_size(*size, max_side) == fitted


def test_rgb_and_bgr_are_each_others_reverse(picture: NDArray[np.uint8]) -> None:
    of = yuv(picture, 320, 240, Colorspace.ITU601, ColorRange.MPEG, "yuv420p")
    assert np.array_equal(PixelReader().rgb(of), PixelReader().bgr(of)[..., ::-1])


def test_a_region_has_the_box_in_its_middle_and_so_many_times_around_it() -> None:
    region = Letterbox.around((100, 200, 160, 240), 2.0, SIDE)
    assert region.scale == 120 / SIDE
    assert np.allclose(region.transform() @ (130, 220, 1), (SIDE / 2, SIDE / 2))
    assert np.allclose(region.transform() @ (100, 190, 1), (SIDE / 4, SIDE / 4))
    assert Letterbox.around((5, 5, 5, 5), 2.0, SIDE).scale > 0


@pytest.mark.parametrize("pixel_format", ["yuv420p", "gbrp"])
@pytest.mark.parametrize("box", [(200, 100, 328, 228), (-40, -40, 88, 88), (560, 400, 688, 528)])
def test_a_region_is_that_part_of_the_picture_and_black_beside_it(
    picture: NDArray[np.uint8], pixel_format: str, box: tuple[int, int, int, int]
) -> None:
    of = yuv(picture, 640, 480, Colorspace.ITU601, ColorRange.MPEG, pixel_format)
    region = PixelReader().sampled_rgb(of, Letterbox.around(box, 1.0, SIDE), SIDE)
    padded = np.pad(PixelReader().rgb(of), ((200, 200), (200, 200), (0, 0))).astype(int)
    x1, y1, x2, y2 = (edge + 200 for edge in box)
    expected = padded[y1:y2, x1:x2]
    assert np.abs(region.astype(int) - expected).mean() < 3.0
    outside = np.pad(np.zeros((480, 640), bool), 200, constant_values=True)[y1:y2, x1:x2]
    assert region[1:-1, 1:-1][outside[1:-1, 1:-1]].max(initial=0) <= 60
