"""Local cameras: what is said when there is none, and the reading of a device that behaves like one.

No test machine has a camera, so FFmpeg's Video4Linux input itself is not exercised here.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from pathlib import Path

import av
import pytest

from streamapp.errors import SourceEnded, SourceError, SourceNotFound, SourceTimeout
from streamapp.sections import SourceSettings
from streamapp.sources.av_reader import Delivery, read
from streamapp.sources.base import FrameNumbering
from streamapp.sources.reading import Opening
from streamapp.sources.webcam import WebcamSource
from tests.coded_video import level_of
from tests.fakes import CollectingOutlet
from tests.pictures import video_frame
from tests.waiting import until


def webcam(device: Path) -> WebcamSource:
    return WebcamSource(device, FrameNumbering("cam"), SourceSettings())


async def test_a_missing_camera_says_which_there_are() -> None:
    with pytest.raises(SourceNotFound, match="those present:"):
        await webcam(Path("/dev/video987")).run(CollectingOutlet())


async def test_a_file_is_not_a_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.raises(SourceNotFound, match="not a camera"):
        await webcam(tmp_path / "video0").run(CollectingOutlet())


async def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(SourceError, match="/dev/null"):
        await webcam(Path("/dev/null")).run(CollectingOutlet())


def test_a_camera_is_live() -> None:
    assert webcam(Path("/dev/video0")).live


def motion_jpeg(count: int) -> list[bytes]:
    """Pictures as a USB camera sends them."""
    pictures = []
    for index in range(count):
        file = io.BytesIO()
        with av.open(file, "w", format="mjpeg") as container:
            stream = container.add_stream("mjpeg", rate=30)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
            video = video_frame(160, 120, level=level_of(index), pixel_format="yuvj420p")
            container.mux(stream.encode(video))
            container.mux(stream.encode())
        pictures.append(file.getvalue())
    return pictures


class PipeCamera:
    """A device node that gives pictures when told to: a named pipe."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.opening = Opening(str(path), "camera", "mjpeg", {}, 5.0, 1.0, 1_000_000)
        self._fd = os.open(path, os.O_RDWR)  # keeps the pipe open, whoever reads it

    def send(self, *pictures: bytes) -> None:
        for picture in pictures:
            os.write(self._fd, picture)

    def close(self) -> None:
        os.close(self._fd)


async def test_a_devices_pictures_come_out_live(tmp_path: Path) -> None:
    camera = PipeCamera(tmp_path / "video0")
    outlet = CollectingOutlet()
    run = asyncio.ensure_future(read(camera.opening, outlet, FrameNumbering("pipe"), Delivery.LIVE))
    try:
        pictures = motion_jpeg(5)
        while not outlet.frames:
            camera.send(*pictures)
            await asyncio.sleep(0.01)
        assert outlet.connections == 1
        assert (outlet.frames[0].width, outlet.frames[0].height) == (160, 120)
    finally:
        run.cancel()
        camera.close()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: "reader pipe" not in {thread.name for thread in threading.enumerate()}, 10)


async def test_a_device_that_hangs_is_given_up_although_its_driver_cannot_be_interrupted(tmp_path: Path) -> None:
    camera = PipeCamera(tmp_path / "video0")
    outlet = CollectingOutlet()
    run = asyncio.ensure_future(read(camera.opening, outlet, FrameNumbering("pipe"), Delivery.LIVE))
    pictures = motion_jpeg(5)
    while not outlet.frames:
        camera.send(*pictures)
        await asyncio.sleep(0.01)
    with pytest.raises((SourceTimeout, SourceEnded)):
        await run
    camera.close()
    await until(lambda: "reader pipe" not in {thread.name for thread in threading.enumerate()}, 10)
