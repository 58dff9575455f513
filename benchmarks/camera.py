"""A fake camera whose pictures carry their number: eight black or white blocks, then the same inverted.

The row of blocks is at the top and at the bottom, so that a flipped picture still has its number.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.media import Size, decoded, videos

BITS = 8
BLOCKS = 2 * BITS
FPS = 30
PICTURES = 240
"""8 s, then numbers begin again: far longer than any latency."""
BAND = 1 / 10
"""Height of a row of blocks, as a part of the picture's."""
_WHITE, _BLACK = 235, 16


def numbered(luma: NDArray[np.uint8], number: int) -> None:
    """Writes `number` into a luma plane, [height, width], in place."""
    height, width = luma.shape
    band, block = round(height * BAND), width // BLOCKS
    for bit in range(BITS):
        on = bool(number >> bit & 1)
        for place, value in ((bit, on), (bit + BITS, not on)):
            for rows in (slice(0, band), slice(height - band, height)):
                luma[rows, place * block : (place + 1) * block] = _WHITE if value else _BLACK


def read_number(frame: av.VideoFrame) -> int | None:
    """The number in a yuv420p picture; None if it cannot be read."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
    block = frame.width // BLOCKS
    row = luma[round(frame.height * BAND / 2), block // 2 : frame.width : block][:BLOCKS]
    return decode_blocks([int(value) for value in row])


def decode_blocks(levels: list[int]) -> int | None:
    """The number in the blocks' brightness, 0 to 255, from left to right; None unless each has its inverse."""
    on = [level > 128 for level in levels]
    if len(on) != BLOCKS or any(a == b for a, b in zip(on[:BITS], on[BITS:], strict=True)):
        return None
    return sum(1 << bit for bit in range(BITS) if on[bit])


def write_camera(target: Path, size: Size) -> Path:
    """Writes a .y4m for Chromium's fake camera, of a real moving face; 120 MB at 640x480."""
    frames = decoded(videos()[0], size, limit=PICTURES)
    with target.open("wb") as file:
        file.write(f"YUV4MPEG2 W{size.width} H{size.height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(PICTURES):
            planes = frames[number % len(frames)].to_ndarray().astype(np.uint8, copy=True)
            numbered(planes[: size.height], number)
            file.write(b"FRAME\n")
            file.write(planes.tobytes())
    return target
