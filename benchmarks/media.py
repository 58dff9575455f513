"""Pictures and videos with faces to measure on: the test media beside the checkout, else the app's own demo clip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

from streamapp.assets import asset

_CHECKOUT = Path(__file__).parent.parent
_LIVELY = "liveportrait_driving_d9.mp4"
"""30 pictures a second of one near, moving face."""
_PICTURE_FOLDERS = ("groups", "portraits", "pairs/deepface", "boxes/mmpose", "spoof")


def shared_dir() -> Path | None:
    """The folder with media/ and models/: STREAMAPP_TEST_SHARED, or `shared` beside the checkout."""
    named = os.environ.get("STREAMAPP_TEST_SHARED")
    folder = Path(named) if named else _CHECKOUT.parent / "shared"
    return folder if folder.is_dir() else None


def videos() -> list[Path]:
    """Every video there is, the one fit for a camera first. Raises SystemExit where there is none."""
    shared = shared_dir()
    found = sorted((shared / "media/videos").glob("*.mp4")) if shared else []
    found.sort(key=lambda path: path.name != _LIVELY)
    demo = asset("recordings/demo.mp4")
    if demo.is_file():
        found.append(demo)
    if not found:
        raise SystemExit("there is no video to measure on: neither recordings/demo.mp4 nor ../shared/media/videos")
    return found


def pictures() -> list[Path]:
    """Every still picture with faces there is; may be empty."""
    shared = shared_dir()
    if shared is None:
        return []
    found = [path for folder in _PICTURE_FOLDERS for path in sorted((shared / "media" / folder).rglob("*"))]
    return [path for path in found if path.suffix in (".jpg", ".png")]


@dataclass(frozen=True, slots=True)
class Size:
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


VGA = Size(640, 480)
HD = Size(1280, 720)
FULL_HD = Size(1920, 1080)


def decoded(path: Path, size: Size | None = None, *, limit: int | None = None, step: int = 1) -> list[av.VideoFrame]:
    """The pictures of a file as yuv420p, every `step`th, cropped in the middle and scaled to `size`."""
    with av.open(str(path)) as container:
        chosen = islice(container.decode(video=0), 0, None, step)
        return list(islice(_prepared(chosen, size), limit))


def _prepared(frames: Iterator[av.VideoFrame], size: Size | None) -> Iterator[av.VideoFrame]:
    scaler = VideoReformatter()
    for frame in frames:
        if size is None:
            yield scaler.reformat(frame, width=frame.width & ~1, height=frame.height & ~1, format="yuv420p")
            continue
        scale = max(size.width / frame.width, size.height / frame.height)
        width, height = round(frame.width * scale), round(frame.height * scale)
        pixels = scaler.reformat(frame, width=width, height=height, format="rgb24").to_ndarray()
        left, top = (width - size.width) // 2, (height - size.height) // 2
        cut = pixels[top : top + size.height, left : left + size.width].copy()
        yield av.VideoFrame.from_ndarray(cut, format="rgb24").reformat(format="yuv420p")
