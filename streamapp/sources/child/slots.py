"""Pictures that two processes see: slots in memory without a name, so that nothing is left of it when both are gone.

The first page is flags, a byte each: `CLOSED`, `WANTS_ENCODED`, then one for each slot. A slot is the decoding
process's to write as long as its flag is 0; it sets the flag and says so; the app sets it back when nobody looks at the
picture any more.
"""

from __future__ import annotations

import mmap

from av import VideoFrame

from streamapp.errors import SourceTooLarge
from streamapp.sources.child.messages import FORMATS, MAX_PLANES

SLOTS = 12
CLOSED, WANTS_ENCODED, FIRST_FLAG = 0, 1, 2
FLAGS_BYTES = mmap.PAGESIZE

_BYTES_PER_PIXEL = 3
_PADDING_BYTES = 1 << 20
"""For lines that the decoder made longer, and for readers that look a few bytes beyond."""
_WHOLE_CHROMA = ("yuv444p", "yuvj444p", "gray")


def slot_bytes(max_pixels: int) -> int:
    return -(-(_BYTES_PER_PIXEL * max_pixels + _PADDING_BYTES) // mmap.PAGESIZE) * mmap.PAGESIZE


def total_bytes(max_pixels: int) -> int:
    """Of address space; memory is taken as slots are first used, lowest first."""
    return FLAGS_BYTES + SLOTS * slot_bytes(max_pixels)


def crosses(pixel_format: str, width: int, height: int) -> bool:
    """Whether pictures of this kind go into a slot as they are."""
    return pixel_format in FORMATS and (pixel_format in _WHOLE_CHROMA or not (width % 2 or height % 2))


class SlotWriter:
    """The decoding process's side."""

    def __init__(self, descriptor: int, max_pixels: int) -> None:
        self._memory = mmap.mmap(descriptor, total_bytes(max_pixels))
        self._slot_bytes = slot_bytes(max_pixels)

    @property
    def closed(self) -> bool:
        return self._memory[CLOSED] != 0

    @property
    def wants_encoded(self) -> bool:
        return self._memory[WANTS_ENCODED] != 0

    def write(self, video: VideoFrame) -> tuple[int, VideoFrame, tuple[int, int, int]]:
        """The slot that holds the picture now, or -1 if none is free; the picture as it is there, and the bytes per
        line of its planes. Raises SourceTooLarge if it fits no slot."""
        if not (crosses(video.format.name, video.width, video.height) and all(p.line_size > 0 for p in video.planes)):
            video = video.reformat(format="yuv444p")
        planes = video.planes
        lines = tuple(plane.line_size for plane in planes)
        if min(lines) <= 0 or sum(plane.buffer_size for plane in planes) > self._slot_bytes:
            raise SourceTooLarge(f"pictures of {video.width}x{video.height} have lines that are too long")
        slot = self._memory.find(b"\0", FIRST_FLAG, FIRST_FLAG + SLOTS) - FIRST_FLAG
        first, second, third = (*lines, 0, 0)[:MAX_PLANES]
        if slot < 0:
            return -1, video, (first, second, third)
        start = FLAGS_BYTES + slot * self._slot_bytes
        for plane in planes:
            end = start + plane.buffer_size
            self._memory[start:end] = memoryview(plane)
            start = end
        self._memory[FIRST_FLAG + slot] = 1
        return slot, video, (first, second, third)
