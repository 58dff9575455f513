"""Blurs the faces of people who are not enrolled, straight in a picture's YUV planes, before any sink gets it.

Clear is only who is named in this very frame and was seen in it; all else that is, was a moment ago, or may be a face
is blurred. What is left of it are the means of a few blocks, smoothed and spread out again: there is nothing in the
picture to undo that with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamapp.faces import Track, TrackState
from streamapp.frame import Box, Frame, PixelReader, plane_pixels
from streamapp.geometry import pairwise_cover
from streamapp.results import Analyses, FrameResult, IdentityState, TrackResult
from streamapp.sinks.base import Output

BLOCKS = 6
"""What is blurred is this many blocks long and wide, at most. The face itself is about two thirds of it."""
SAMPLES = 96
"""The means are taken over about as many pixels a side: more are of no use."""
LINGER_S = 1.0
"""Where a face that is not to be shown was seen last is blurred for so long: it may only have turned away."""
PAD_SIDES, PAD_TOP, PAD_BOTTOM = 0.35, 0.5, 0.35
"""Of the box, which is about the face, for ears, hair and chin."""
PAD_UNSEEN = 0.3
"""More on each side where the face was not seen in this frame: it is somewhere near."""
MERGED = 0.6
"""Boxes of which so much lies in a larger one are blurred together with it."""
SAME_FACE = 0.5
"""Two boxes are of one face if so much of the smaller lies in the other."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """What may be a face besides the tracks of a result. afar: seen in parts of recent frames; None: not all of the
    picture was looked at yet."""

    tentative: tuple[Track, ...]
    afar: tuple[Box, ...] | None


@dataclass(frozen=True, slots=True)
class _Hidden:
    box: Box
    at_s: float


class Veil:
    """Of one private stream. Frames in their order; used by one thread at a time."""

    def __init__(self) -> None:
        self._reader = PixelReader()
        self._hidden: dict[int, _Hidden] = {}
        """Where each track that is not to be shown was last, padded."""

    def over(self, output: Output, suspects: Suspects | None) -> Output:
        """The same with a picture of its own, blurred where it has to be, and not to be had in the source's coding.
        suspects: None: nobody looked, so the whole picture is blurred."""
        result = output.result
        boxes = self.boxes(result, suspects)
        if boxes is None:
            boxes = ((0.0, 0.0, float(result.width), float(result.height)),)
        return Output(blurred(output.frame, boxes, self._reader), result, boxes)

    def boxes(self, result: FrameResult, suspects: Suspects | None) -> tuple[Box, ...] | None:
        """What is to be blurred in a frame, in pixels, not clipped; None: all of it."""
        now_s = result.pts_s
        if suspects is None or suspects.afar is None:
            return None
        clear = {track.id: track.box for track in result.tracks if _is_shown(track)}
        tracks: list[TrackResult | Track] = [*result.tracks, *suspects.tentative]
        fresh = {
            track.id: _Hidden(padded(track.box, seen=track.state is not TrackState.COASTING), now_s)
            for track in tracks
            if track.id not in clear
        }
        if not all(map(math.isfinite, (side for hidden in fresh.values() for side in hidden.box))):
            return None
        before = {
            track_id: hidden
            for track_id, hidden in self._hidden.items()
            if track_id not in clear and now_s - hidden.at_s <= LINGER_S
        }
        self._hidden = before | fresh
        boxes = [
            _around(hidden.box, before[track_id].box) if track_id in before else hidden.box
            for track_id, hidden in fresh.items()
        ]
        gone = [hidden.box for track_id, hidden in before.items() if track_id not in fresh]
        boxes += _others(gone, clear.values())
        afar = _others(suspects.afar, clear.values())
        return _merged((*boxes, *(padded(box, seen=False) for box in afar if not _is_within(box, boxes))))


def is_named(analyses: Analyses) -> bool:
    """Whether a face is, by now, somebody's who is enrolled."""
    identity = analyses.get("identity")
    return (
        identity is not None
        and identity.state is IdentityState.IDENTIFIED
        and identity.person_id is not None
        and identity.name is not None
    )


def padded(box: Box, *, seen: bool = True) -> Box:
    """What of the picture shows a person's head, given the box of the face."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    more = 0.0 if seen else PAD_UNSEEN
    return (
        x1 - (PAD_SIDES + more) * width,
        y1 - (PAD_TOP + more) * height,
        x2 + (PAD_SIDES + more) * width,
        y2 + (PAD_BOTTOM + more) * height,
    )


def blurred(frame: Frame, boxes: Iterable[Box], reader: PixelReader) -> Frame:
    """A frame with a picture of its own, yuv420p and even-sized, without what is in the boxes."""
    source = frame.video
    picture = reader.yuv420p(frame)
    copy = VideoFrame(picture.width, picture.height, "yuv420p")
    planes = [plane_pixels(plane) for plane in copy.planes]
    for target, plane in zip(planes, picture.planes, strict=True):
        np.copyto(target, plane_pixels(plane))
    for box in boxes:
        _blur(planes, box)
    copy.pts = source.pts
    if source.time_base is not None:
        copy.time_base = source.time_base
    copy.colorspace, copy.color_range = source.colorspace, source.color_range
    return replace(frame, video=copy, codec=None)


def _blur(planes: list[NDArray[np.uint8]], box: Box) -> None:
    """All blocks lie between even pixels, so that colours and brightness are blurred alike."""
    height, width = planes[0].shape
    x1, y1 = (max(0, math.floor(value / 2) * 2) for value in box[:2])
    x2, y2 = (min(limit, math.ceil(value / 2) * 2) for value, limit in zip(box[2:], (width, height), strict=True))
    if x1 >= x2 or y1 >= y2:
        return
    longer = max(x2 - x1, y2 - y1)
    blocks = max(1, round(BLOCKS * (x2 - x1) / longer)), max(1, round(BLOCKS * (y2 - y1) / longer))
    for plane, subsampling in zip(planes, (1, 2, 2), strict=True):
        part = plane[y1 // subsampling : y2 // subsampling, x1 // subsampling : x2 // subsampling]
        few = min(blocks[0], part.shape[1]), min(blocks[1], part.shape[0])
        step = max(1, max(part.shape) // SAMPLES)
        sampled = np.ascontiguousarray(part[::step, ::step])
        means = cv2.resize(sampled, few, interpolation=cv2.INTER_AREA)
        means = cv2.blur(means, (3, 3), borderType=cv2.BORDER_REPLICATE)
        part[:] = cv2.resize(means.reshape(few[::-1]), part.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _is_shown(track: TrackResult) -> bool:
    return track.state is TrackState.CONFIRMED and is_named(track.analyses)


def _others(boxes: Iterable[Box], faces: Iterable[Box]) -> list[Box]:
    """Those boxes that are of none of the faces."""
    boxes, others = list(boxes), np.array(list(faces)).reshape(-1, 4)
    if not boxes or not len(others):
        return boxes
    covers = pairwise_cover(np.array(boxes), others).max(axis=1)
    return [box for box, cover in zip(boxes, covers.tolist(), strict=True) if cover < SAME_FACE]


def _merged(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Fewer boxes that cover the same: those that mostly lie in a larger one become one with it."""
    kept: list[Box] = []
    for box in sorted(boxes, key=_area, reverse=True):
        for index, larger in enumerate(kept):
            if _area(_common(box, larger)) >= MERGED * _area(box):
                kept[index] = _around(larger, box)
                break
        else:
            kept.append(box)
    return tuple(kept)


def _is_within(box: Box, others: Iterable[Box]) -> bool:
    return any(_area(_common(box, other)) >= 0.95 * _area(box) for other in others)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
