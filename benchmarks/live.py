"""A camera of real faces: decoded pictures, offered 30 times a second, whether anybody has time for them or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from benchmarks.media import HD, Size, decoded, shared_dir
from streamapp.results import FrameResult
from streamapp.settings import Settings
from streamapp.sources.base import FrameNumbering, Outlet

FPS = 30
HALL_S = 8
FRAME_PATH = ("convert", "screen", "regions", "track", "shots")
"""The steps of `timing_ms` that every frame takes before its result is out."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A face that comes into the hall and goes, in shares of the picture and seconds of the clip."""

    clip: str
    left: float
    top: float
    height: float
    from_s: float
    until_s: float


VISITORS = (
    Visitor("liveportrait_driving_d9.mp4", 0.02, 0.28, 0.60, 0.0, 6.5),
    Visitor("liveportrait_driving_d18.mp4", 0.36, 0.15, 0.45, 1.5, 7.5),
    Visitor("liveportrait_driving_d19.mp4", 0.63, 0.30, 0.62, 3.0, 8.0),
)
_EMPTY_HALL = "intel_one-by-one-person-detection.mp4"


def video(name: str) -> Path:
    """A video of the shared test media. Raises SystemExit where it is not there."""
    shared = shared_dir()
    path = shared / "media/videos" / name if shared else None
    if path is None or not path.is_file():
        raise SystemExit(f"{name} of the shared test media is needed; set STREAMAPP_TEST_SHARED")
    return path


def hall(size: Size = HD, seconds: float = HALL_S) -> list[av.VideoFrame]:
    """Three people before one background, each there for a while: near faces, at most all three at once."""
    empty = decoded(video(_EMPTY_HALL), size, limit=1)[0].to_ndarray(format="rgb24")
    pictures = [empty.copy() for _ in range(round(seconds * FPS))]
    for visitor in VISITORS:
        side = round(visitor.height * size.height) & ~1
        left, top = round(visitor.left * size.width), round(visitor.top * size.height)
        portrait = decoded(video(visitor.clip), Size(side, side), limit=len(pictures))
        for number, picture in enumerate(pictures):
            if visitor.from_s <= number / FPS < visitor.until_s:
                face = portrait[number % len(portrait)].to_ndarray(format="rgb24")
                shown = face[: size.height - top, : size.width - left]
                picture[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return [av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p") for picture in pictures]


def street(size: Size = HD) -> list[av.VideoFrame]:
    """A street with far faces, most of which only a sweep sees."""
    return decoded(video("facenet_pytorch_video.mp4"), size)


class ClipCamera:
    """A live source of pictures that repeat for ever. Each arrives when it is due, by the clock: what holds up the
    event loop counts against the frame."""

    live = True

    def __init__(self, numbering: FrameNumbering, pictures: Sequence[av.VideoFrame]) -> None:
        self._numbering = numbering
        self._pictures = pictures

    async def run(self, outlet: Outlet) -> None:
        outlet.connected()
        start_s = time.monotonic()
        for number in count():
            due_s = start_s + number / FPS
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            picture = self._pictures[number % len(self._pictures)]
            outlet.offer(self._numbering.frame(picture, number / FPS, arrived_s=due_s))


def frame_path_ms(result: FrameResult) -> float:
    return sum(result.timing_ms.get(step, 0.0) for step in FRAME_PATH)


def percentile(values: Sequence[float], share: float) -> float:
    """NaN where there is nothing."""
    return float(np.percentile(values, 100 * share)) if values else float("nan")


@contextmanager
def linked_models(settings: Settings) -> Iterator[Settings]:
    """The same settings with a models folder of links: measured costs begin anew and are written beside no weights."""
    shared = shared_dir()
    folders = [folder for folder in (shared / "models" if shared else None, settings.models.dir) if folder]
    with TemporaryDirectory(prefix="streamapp-linked-") as made:
        link_all(folders, Path(made))
        models = settings.models.model_copy(update={"dir": Path(made)})
        yield settings.model_copy(update={"models": models})


def link_all(folders: Sequence[Path], target: Path) -> None:
    """Links every file of `folders` but measured costs; the later folder wins."""
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_file() and path.name != "costs.json":
                link = target / path.name
                link.unlink(missing_ok=True)
                link.symlink_to(path.resolve())
