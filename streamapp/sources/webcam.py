"""A camera of this machine, through Video4Linux."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from streamapp.errors import SourceNotFound, SourceRefused
from streamapp.sections import SourceSettings
from streamapp.sources.av_reader import Delivery, read
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.reading import Opening


class WebcamSource:
    """`device` is a device node such as /dev/video0; size and rate are the driver's present ones."""

    live = True

    def __init__(self, device: Path, numbering: FrameNumbering, settings: SourceSettings) -> None:
        self._device = device
        self._numbering = numbering
        self._settings = settings

    async def run(self, outlet: Outlet) -> None:
        await asyncio.to_thread(self._check)
        opening = Opening(
            target=str(self._device),
            shown=f"camera {self._device}",
            format="v4l2",
            options={},
            open_timeout_s=self._settings.open_timeout_s,
            read_timeout_s=self._settings.read_timeout_s,
            max_pixels=self._settings.max_pixels,
        )
        await read(opening, outlet, self._numbering, Delivery.LIVE)

    def _check(self) -> None:
        """Says what is wrong in words where FFmpeg would give a number."""
        try:
            mode = self._device.stat().st_mode
        except FileNotFoundError:
            raise SourceNotFound(f"there is no camera {self._device}; those present: {_present()}") from None
        except PermissionError:
            raise SourceRefused(f"camera {self._device} may not be read by this user") from None
        if not stat.S_ISCHR(mode):
            raise SourceNotFound(f"{self._device} is not a camera; those present: {_present()}")


def _present() -> str:
    return ", ".join(sorted(str(node) for node in Path("/dev").glob("video[0-9]*"))) or "none"
