"""Labelled clips made of pictures of people: faces that move, turn, come nearer, blur and cross before a background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.frame import Image
from tests.sessions import largest_face, picture

FPS = 25
CONTEXT = 2.1
"""A head is cut so many times as wide as its face."""
_BLURRED_SHARE = 0.35
_MIN_SHOWN = 0.5
"""A face of which less is to be seen is not judged."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who walks through the picture from one place to another. picture: of the shared media."""

    id: int
    picture: str
    start: tuple[float, float]
    end: tuple[float, float]
    """Of the face's centre, in shares of the picture."""
    width_px: tuple[float, float]
    """Of the face, at the start and at the end."""
    from_s: float = 0.0
    until_s: float = 1e9
    turn_deg: float = 8.0
    blur_px: float = 0.0
    """Deviation of the blur at its worst; it comes and goes."""


@dataclass(frozen=True, slots=True)
class _Head:
    rgb: Image
    mask: NDArray[np.float32]
    side: tuple[float, float]
    """Width and height of the face in it, as shares of its width."""


def write_clip(path: Path, actors: Sequence[Actor], *, s: float, size: tuple[int, int] = (640, 480)) -> Path:
    """The clip, and its labels beside it."""
    heads = {actor.picture: _head(actor.picture) for actor in actors}
    background = _background(size)
    noise = np.random.default_rng(6).normal(0, 3, (size[1], size[0], 3)).astype(np.float32)
    rows: list[str] = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(round(s * FPS)):
            canvas, drawn = background.astype(np.float32), []
            at_s = index / FPS
            for actor in sorted(actors, key=lambda actor: _width(actor, at_s, s)):
                if actor.from_s <= at_s < actor.until_s:
                    drawn.append((actor, *_draw(canvas, actor, heads[actor.picture], at_s, s)))
            for number, (actor, box, mask) in enumerate(drawn):
                hidden = np.max([m for _, _, m in drawn[number + 1 :]] or [np.zeros_like(mask)], axis=0)
                rows.append(_row(index, actor, box, hidden, size))
            noisy = canvas + np.roll(noise, (7 * index, 13 * index), (0, 1))
            video = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
            video.pts, video.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(video))
        container.mux(stream.encode(None))
    path.with_suffix(".txt").write_text("".join(rows))
    return path


def _head(relative: str) -> _Head:
    rgb = picture(relative)
    face = largest_face(rgb)
    x1, y1, x2, y2 = (float(value) for value in face.box)
    side = CONTEXT * max(x2 - x1, y2 - y1)
    left, top = (x1 + x2) / 2 - side / 2, (y1 + y2) / 2 - side / 2
    scale = 320 / side
    head = cv2.warpAffine(
        rgb,
        np.array([[scale, 0, -left * scale], [0, scale, -top * scale]]),
        (320, 320),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )
    oval = np.zeros((320, 320), np.float32)
    cv2.ellipse(oval, (160, 160), (105, 145), 0, 0, 360, (1.0,), -1)
    mask = cv2.GaussianBlur(oval, (0, 0), 8)
    shares = ((x2 - x1) / side, (y2 - y1) / side)
    return _Head(np.asarray(head, np.uint8), np.asarray(mask, np.float32), shares)


def _background(size: tuple[int, int]) -> Image:
    """Soft patches, in which nobody sees a face."""
    grey = np.random.default_rng(5).normal(120, 30, (9, 12, 3)).clip(40, 200).astype(np.uint8)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _way(actor: Actor, at_s: float, whole_s: float) -> float:
    until_s = min(actor.until_s, whole_s)
    return (at_s - actor.from_s) / max(until_s - actor.from_s, 1e-6)


def _width(actor: Actor, at_s: float, whole_s: float) -> float:
    way = _way(actor, at_s, whole_s)
    return actor.width_px[0] + (actor.width_px[1] - actor.width_px[0]) * way


def _draw(
    canvas: NDArray[np.float32], actor: Actor, head: _Head, at_s: float, whole_s: float
) -> tuple[tuple[float, float, float, float], NDArray[np.float32]]:
    """Draws somebody; gives the box of the face, and how much of each pixel is theirs."""
    height, width = canvas.shape[:2]
    way = _way(actor, at_s, whole_s)
    centre_x = (actor.start[0] + (actor.end[0] - actor.start[0]) * way) * width
    centre_y = (actor.start[1] + (actor.end[1] - actor.start[1]) * way) * height + 6 * math.sin(2.1 * at_s + actor.id)
    face_px = _width(actor, at_s, whole_s)
    scale = face_px / (head.side[0] * 320)
    turn = cv2.getRotationMatrix2D((160, 160), actor.turn_deg * math.sin(1.3 * at_s + actor.id), scale)
    turn[:, 2] += centre_x - 160, centre_y - 160
    shown = cv2.warpAffine(head.rgb, turn, (width, height), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    mask = cv2.warpAffine(head.mask, turn, (width, height))
    worst = max(0.0, math.sin(1.7 * at_s + 2 * actor.id) - (1 - 2 * _BLURRED_SHARE)) / (2 * _BLURRED_SHARE)
    if actor.blur_px * worst > 0.3:
        shown = cv2.GaussianBlur(shown, (0, 0), actor.blur_px * worst)
    light = 1 + 0.15 * math.sin(0.9 * at_s + 3 * actor.id)
    canvas += mask[..., None] * (shown * light - canvas)
    half_x, half_y = face_px / 2, face_px / 2 * head.side[1] / head.side[0]
    box = (centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)
    return box, np.asarray(mask, np.float32)


def _row(
    index: int,
    actor: Actor,
    box: tuple[float, float, float, float],
    hidden: NDArray[np.float32],
    size: tuple[int, int],
) -> str:
    x1, y1, x2, y2 = box
    inner = hidden[max(0, round(y1)) : max(0, round(y2)), max(0, round(x1)) : max(0, round(x2))]
    inside = max(0.0, min(x2, size[0]) - max(x1, 0)) * max(0.0, min(y2, size[1]) - max(y1, 0))
    shown = inside / ((x2 - x1) * (y2 - y1)) * (1 - float(inner.mean()) if inner.size else 0.0)
    if shown <= 0.05:
        return ""
    considered = int(shown >= _MIN_SHOWN)
    return f"{index + 1},{actor.id},{x1 + 1:.1f},{y1 + 1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},{considered},1,{shown:.2f}\n"
