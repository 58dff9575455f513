"""Recordings as the camera of a browser: Motion JPEG files for Chromium's fake capture device."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamapp.assets import asset
from streamapp.frame import Image
from tests.shared_data import shared_dir


def face_clip() -> Path:
    """A recording with a large moving face: a real one of the shared test data, else the demo clip."""
    folder = shared_dir()
    real = folder / "media/videos/liveportrait_driving_d9.mp4" if folder else None
    return real if real and real.is_file() else demo_clip()


def street_clip() -> Path:
    """A recording full of motion, expensive to code: a real one of the shared test data, else the demo clip."""
    folder = shared_dir()
    real = folder / "media/videos/facenet_pytorch_video.mp4" if folder else None
    return real if real and real.is_file() else demo_clip()


def demo_clip() -> Path:
    """Our own recording; skips where it has not been made."""
    clip = asset("recordings/demo.mp4")
    if not clip.is_file():
        pytest.skip("recordings/demo.mp4 is absent")
    return clip


def write_camera(clip: Path, target: Path, *, width: int = 640, height: int = 480, fps: int = 30, s: float = 8) -> Path:
    """Writes the first `s` seconds of a recording as Motion JPEG for Chromium's fake camera, cropped to fill."""
    with av.open(clip) as source, av.open(target, "w", format="mjpeg") as sink:
        coder = sink.add_stream("mjpeg", rate=fps, options={"qmin": "3", "qmax": "3"})
        coder.width, coder.height, coder.pix_fmt = width, height, "yuvj420p"
        written = 0
        for picture in source.decode(video=0):
            rgb = _cropped(picture.to_ndarray(format="rgb24"), width, height)
            due = int((picture.time or 0.0) * fps) + 1
            while written < min(due, s * fps):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuvj420p")
                frame.pts, frame.time_base = written, Fraction(1, fps)
                sink.mux(coder.encode(frame))
                written += 1
            if written >= s * fps:
                break
        sink.mux(coder.encode(None))
    return target


def _cropped(rgb: NDArray[Any], width: int, height: int) -> Image:
    scale = max(width / rgb.shape[1], height / rgb.shape[0])
    scaled = cv2.resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width]).astype(np.uint8, copy=False)
