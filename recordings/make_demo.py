"""Builds recordings/demo.mp4: a moving camera before two public-domain portraits. What it shows is in README.md.

    python recordings/make_demo.py [OUT.mp4]

Needs the dependency group `demo-clip`. The same library versions give the same file, byte for byte.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Image = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 640, 480, 30
DURATION_S = 14.5
SEED = 1969

SCENE_WIDTH, SCENE_HEIGHT = 1900, 900
ASTRONAUT_XY = (700, 170)
"""Upper left corner of the astronaut's portrait in the scene; her face is at about (925, 285)."""
ADMIRAL_XY = (1240, 170)
ADMIRAL_SCALE = 0.62
"""Makes both faces equally large; the admiral's is then at about (1404, 313)."""

OCCLUSION_S = (8.9, 10.1)
BAR_WIDTH = 185


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera looks at a time: the scene's point in the middle of the picture, picture pixels per scene
    pixel, and its turn about its axis."""

    time_s: float
    x: float
    y: float
    zoom: float
    turn_deg: float


VIEWS = (
    View(0.0, 925, 300, 1.15, 0),
    View(1.5, 930, 303, 1.15, 0),
    View(2.4, 800, 295, 1.15, 0),  # pan left, then right
    View(3.6, 1020, 305, 1.15, 0),
    View(4.2, 930, 300, 1.15, 0),
    View(5.2, 927, 292, 2.2, 0),  # zoom in, stay, out
    View(5.7, 925, 292, 2.2, 0),
    View(6.5, 925, 303, 1.2, 0),
    View(7.2, 925, 303, 1.2, 24),  # turn one way, then the other
    View(8.2, 925, 303, 1.2, -24),
    View(8.8, 925, 300, 1.2, 0),
    View(10.2, 925, 300, 1.2, 0),  # meanwhile a bar crosses the picture
    View(11.0, 420, 330, 1.2, 0),  # the face leaves
    View(11.6, 410, 332, 1.2, 0),
    View(12.5, 1165, 318, 0.95, 0),  # it comes back, with the other one beside it
    View(13.3, 1160, 320, 0.95, 0),
    View(14.5, 1162, 316, 0.97, 3),
)


def scene(rng: np.random.Generator) -> Image:
    """The wall with the two portraits, RGB."""
    wall = _wall(rng)
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    admiral = cv2.cvtColor(cv2.imread(str(photograph)), cv2.COLOR_BGR2RGB)
    admiral = cv2.resize(admiral, None, fx=ADMIRAL_SCALE, fy=ADMIRAL_SCALE, interpolation=cv2.INTER_AREA)
    for picture, (x, y) in ((skimage.data.astronaut(), ASTRONAUT_XY), (admiral, ADMIRAL_XY)):
        _hang(wall, picture, x, y)
    return np.clip(wall, 0, 255).astype(np.uint8)


def _wall(rng: np.random.Generator) -> NDArray[np.float32]:
    plaster = cv2.GaussianBlur(rng.normal(0, 1, (SCENE_HEIGHT, SCENE_WIDTH)).astype(np.float32), (0, 0), 3)
    stains = cv2.GaussianBlur(rng.normal(0, 1, (SCENE_HEIGHT, SCENE_WIDTH)).astype(np.float32), (0, 0), 60)
    light = np.linspace(18, -18, SCENE_WIDTH, dtype=np.float32)[None, :]
    grey = light + 40 * plaster + 900 * stains
    wall = np.array((176, 168, 152), np.float32) + grey[..., None]
    cv2.rectangle(wall, (0, 780), (SCENE_WIDTH, SCENE_HEIGHT), (96, 74, 58), -1)  # wainscot
    for x in range(150, 560, 130):  # a shelf of books, where no face is
        cv2.rectangle(wall, (x, 230), (x + 118, 470), (110, 92, 70), 6)
        for book in range(6):
            colour = tuple(float(value) for value in rng.integers(40, 190, 3))
            left, top = x + 6 + book * 18, 250 + int(rng.integers(0, 60))
            cv2.rectangle(wall, (left, top), (left + 15, 467), colour, -1)
    return wall


def _hang(wall: NDArray[np.float32], picture: Image, x: int, y: int) -> None:
    height, width = picture.shape[:2]
    shadow = np.zeros(wall.shape[:2], np.float32)
    cv2.rectangle(shadow, (x + 4, y + 12), (x + width + 22, y + height + 26), 1.0, -1)
    wall *= (1 - 0.45 * cv2.GaussianBlur(shadow, (0, 0), 12))[..., None]
    cv2.rectangle(wall, (x - 10, y - 10), (x + width + 9, y + height + 9), (58, 44, 34), -1)
    wall[y : y + height, x : x + width] = picture


def picture_at(time_s: float, scene_rgb: Image, path: PchipInterpolator, rng: np.random.Generator) -> Image:
    """What the camera sees: RGB, 640x480, with an unsteady hand, a bar across it at times, and sensor noise."""
    x, y, log_zoom, turn_deg = path(time_s)
    x += 1.6 * np.sin(2 * np.pi * 0.9 * time_s) + 0.7 * np.sin(2 * np.pi * 2.3 * time_s + 1)
    y += 1.2 * np.sin(2 * np.pi * 1.1 * time_s + 2) + 0.6 * np.sin(2 * np.pi * 2.9 * time_s)
    oversampling = 2
    size = (WIDTH * oversampling, HEIGHT * oversampling)
    to_picture = cv2.getRotationMatrix2D((x, y), turn_deg, float(np.exp(log_zoom)) * oversampling)
    to_picture[:, 2] += (size[0] / 2 - x, size[1] / 2 - y)
    seen = cv2.warpAffine(scene_rgb, to_picture, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.resize(seen, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    start_s, end_s = OCCLUSION_S
    if start_s <= time_s <= end_s:
        left = round(-BAR_WIDTH + (WIDTH + BAR_WIDTH) * (time_s - start_s) / (end_s - start_s))
        cv2.rectangle(picture, (left, 0), (left + BAR_WIDTH, HEIGHT), (44, 48, 52), -1)
        cv2.rectangle(picture, (left, 0), (left + 12, HEIGHT), (92, 96, 98), -1)
    picture += rng.normal(0, 1.2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def build(out: Path) -> None:
    """Writes the clip: H264 High without B-frames, an I-frame every second, ready for streaming."""
    rng = np.random.default_rng(SEED)
    scene_rgb = scene(rng)
    times = [view.time_s for view in VIEWS]
    path = PchipInterpolator(times, [(view.x, view.y, np.log(view.zoom), view.turn_deg) for view in VIEWS])
    with av.open(str(out), "w", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_count = 1  # the bytes depend on the number of threads
        stream.options = {
            "preset": "slow", "crf": "25", "profile": "high", "bf": "0", "g": str(FPS), "keyint_min": str(FPS),
            "sc_threshold": "0", "flags": "+bitexact",
        }  # fmt: skip
        for index in range(round(DURATION_S * FPS)):
            frame = av.VideoFrame.from_ndarray(picture_at(index / FPS, scene_rgb, path, rng), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.mp4")
    build(target)
    print(f"{target}: {target.stat().st_size} bytes")
