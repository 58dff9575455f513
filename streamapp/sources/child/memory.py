"""The app's side of the shared slots: pictures that are looked at where the decoding process put them."""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref

import numpy as np
from av import VideoFormat, VideoFrame
from numpy.typing import NDArray

from streamapp.sources.child.messages import DecodedPicture, Garbled
from streamapp.sources.child.slots import FIRST_FLAG, FLAGS_BYTES, SLOTS, crosses, slot_bytes, total_bytes

FEW_FREE = 4
"""With fewer slots left, pictures are copied out, so that a slow reader keeps none from the process."""
MAX_COLOUR_CODE = 30


class PictureMemory:
    """The app's side. Pictures outlive it: each keeps what it lies in."""

    def __init__(self, max_pixels: int) -> None:
        """Raises OSError."""
        self._max_pixels = max_pixels
        self._slot_bytes = slot_bytes(max_pixels)
        size = total_bytes(max_pixels)
        self.descriptor = os.memfd_create("streamapp-pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        """To be handed to the process; `close` closes it here."""
        try:
            os.ftruncate(self.descriptor, size)
            # Were it made smaller, reading it here would be SIGBUS.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._memory = mmap.mmap(self.descriptor, size)
        except OSError:
            os.close(self.descriptor)
            raise
        self._held: set[int] = set()
        """Without a lock: `_release` may be called in the middle of anything, by the garbage collector."""

    def close(self) -> None:
        os.close(self.descriptor)

    def set_flag(self, flag: int, value: bool) -> None:
        self._memory[flag] = value

    @property
    def held(self) -> int:
        """Slots whose picture is in use."""
        return len(self._held)

    def picture(self, said: DecodedPicture) -> VideoFrame:
        """The picture in its slot, or a copy if slots are few. Raises Garbled if there can be none."""
        planes = self._planes(said)
        if not 0 <= said.slot < SLOTS or said.slot in self._held:
            raise Garbled("slot")
        self._held.add(said.slot)
        start = FLAGS_BYTES + said.slot * self._slot_bytes
        pixels: NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8, self._slot_bytes, start)
        if SLOTS - len(self._held) < FEW_FREE:
            used = sum(height * line for _, height, line in planes)
            pixels = np.concatenate((pixels[:used], np.zeros(64, np.uint8)))
            self._release(said.slot)
        else:
            weakref.finalize(pixels, self._release, said.slot).atexit = False
        views, offset = [], 0
        for width, height, line in planes:
            views.append(np.ndarray((height, width), np.uint8, pixels, offset, (line, 1)))
            offset += height * line
        video = VideoFrame.from_dlpack(tuple(views), said.pixel_format, said.width, said.height)
        video.color_range, video.colorspace = said.color_range, said.colorspace
        return video

    def _planes(self, said: DecodedPicture) -> list[tuple[int, int, int]]:
        """Width, height and bytes per line of each plane."""
        if not 0 < said.width * said.height <= self._max_pixels:
            raise Garbled("size")
        if said.color_range > MAX_COLOUR_CODE or said.colorspace > MAX_COLOUR_CODE:
            raise Garbled("colours")
        components = VideoFormat(said.pixel_format, said.width, said.height).components
        planes = [
            (component.width, component.height, line)
            for component, line in zip(components, said.line_bytes, strict=False)
        ]
        if any(line < width for width, _, line in planes):
            raise Garbled("lines")
        if sum(height * line for _, height, line in planes) > self._slot_bytes:
            raise Garbled("size")
        if not crosses(said.pixel_format, said.width, said.height):
            raise Garbled("odd size")
        return planes

    def _release(self, slot: int) -> None:
        """Called on whatever thread lets go of a picture."""
        self._held.discard(slot)
        self._memory[FIRST_FLAG + slot] = 0
