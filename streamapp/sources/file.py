"""A recorded video file, at its own speed or as fast as its frames are taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streamapp.errors import SourceNotFound
from streamapp.sections import SourceSettings
from streamapp.sources.av_reader import Delivery, read
from streamapp.sources.base import FrameNumbering, Outlet, Pace
from streamapp.sources.reading import Opening

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,asf,flv,ogg,mxf,ivf,h264,hevc,mpegvideo,mjpeg,dv,"
    "yuv4mpegpipe,nut,gif"
)
"""Containers FFmpeg may take a file for. No playlists (HLS, DASH, concat), which would open other addresses."""


class FileSource:
    """`pace` REALTIME delivers like a camera, latest wins; ASAP waits for the outlet, so that no frame is lost."""

    live = False

    def __init__(
        self, path: Path, numbering: FrameNumbering, settings: SourceSettings, *, pace: Pace, loop: bool = False
    ) -> None:
        self._path = path
        self._numbering = numbering
        self._settings = settings
        self._delivery = Delivery.LOSSLESS if pace is Pace.ASAP else Delivery.PACED
        self._loop = loop

    async def run(self, outlet: Outlet) -> None:
        if not await asyncio.to_thread(self._path.is_file):  # opening a pipe or device would block without limit
            raise SourceNotFound(f"there is no file {self._path}")
        opening = Opening(
            target=f"file:{self._path.absolute()}",
            shown=str(self._path),
            format=None,
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
            open_timeout_s=None,
            read_timeout_s=None,
            max_pixels=self._settings.max_pixels,
            loop=self._loop,
        )
        await read(opening, outlet, self._numbering, self._delivery)
