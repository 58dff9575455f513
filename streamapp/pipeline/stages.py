"""What is done to every frame, on the stream's own thread: read pixels, screen for faces, track.

In modes that sweep, the screener also looks closely at where faces should be that it does not see in the whole picture:
short-range BlazeFace finds near faces only, but follows far ones when shown where they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.faces import Detections, Mode, Track
from streamapp.frame import Box, Frame, Image, Letterbox, PixelReader
from streamapp.geometry import pairwise_cover
from streamapp.pipeline.lookout import REGION_SIDE, Lookout, unboxed
from streamapp.pipeline.shots import FaceShot, ShotBook
from streamapp.sections import PipelineSettings
from streamapp.sinks.veil import Suspects
from streamapp.tracking.tracker import Tracker
from streamapp.zoo.base import FaceScreener

MAX_FULL_SIDE = 1920
"""Whole pictures up to this longer side are converted as they are: that costs less than scaling them."""
SCALED_SIDE = 320
REGION_FACTOR = 2.0
"""A region is so many times as wide as the box: the face may have moved."""
NEW_LOOKS, MAX_NEW_REGIONS = 4, 1
"""So often new tracks are looked at out of turn, and how many of them in one frame: until then they do not know how
they move."""
MAX_REGIONS = 2
"""Regions per frame, taken in turn if there are more: each costs a run of the net, as much as the whole picture. Until
its next turn a track moves on as it did: boxes from the whole picture would swing."""
FAR_SHARE = 0.15
"""Of the picture's longer side. Smaller faces are always looked at closely: from the whole picture, if at all, the
screener draws them up to twice as wide, and differently in every frame."""
SAME_FACE = 0.5
"""Two boxes are of one face if so much of the smaller lies in the other."""
SCENE_SIDE = 16
SCENE_CHANGE = 40.0
"""Mean change of brightness, 0 to 255, in a picture of SCENE_SIDE pixels, that is another scene."""


@dataclass(frozen=True, slots=True)
class Screened:
    """The tracks as of one frame, and what finding them took, in milliseconds by step."""

    tracks: tuple[Track, ...]
    timing_ms: dict[str, float]
    scene_changed: bool
    shots: Mapping[int, FaceShot]
    """The best recent shot of each track, where shots are taken."""
    suspects: Suspects | None = None
    """Of a private stream."""


class ScreeningStage:
    """Owned by one thread, from `open` to `close`."""

    def __init__(
        self,
        make_screener: Callable[[], FaceScreener],
        settings: PipelineSettings,
        mode: Mode = Mode.FAST,
        make_lookout: Callable[[], FaceScreener] | None = None,
    ) -> None:
        """make_lookout: of a private stream: the screener of its lookout."""
        self._make_screener = make_screener
        self._tracker = Tracker(max_coast_s=settings.max_coast_s, confirm_hits=settings.confirm_hits)
        self._reader = PixelReader()
        self._screener: FaceScreener | None = None
        self._looks_closely = mode is not Mode.FAST
        self._shots = ShotBook() if mode is Mode.FULL else None
        self._make_lookout = make_lookout
        self._lookout: Lookout | None = None
        self._looks: dict[int, int] = {}
        """How often each track was looked at closely."""
        self._looked_at = 0
        """Id of the track that was last looked at closely."""
        self._scene: Image | None = None

    def open(self) -> None:
        """Loads the screener. Raises ModelError when its weights are missing or wrong."""
        self._screener = self._make_screener()
        if self._make_lookout is not None:
            self._lookout = Lookout(self._make_lookout())

    def process(self, frame: Frame, sightings: Sequence[Detections] = ()) -> Screened:
        """Finds and tracks the faces of one frame. Frames must come in order. sightings: faces, one each, that a sweep
        saw in an earlier frame and no track covers."""
        assert self._screener is not None, "open() comes first"
        start_s = time.monotonic()
        pixels, box = self._pixels(frame, self._screener.input_side)
        converted_s = time.monotonic()
        detections = unboxed(self._screener.screen(pixels, frame.pts_s), box)
        screened_s = time.monotonic()
        if self._looks_closely:
            detections, sightings, unasked = self._look_closely(frame, detections, sightings)
        else:
            unasked = frozenset()
        regions_s = time.monotonic()
        tracks = self._tracker.update(detections, frame.pts_s, sightings, unasked)
        tracked_s = time.monotonic()
        shots = self._shots.consider(frame, tracks, self._reader) if self._shots else {}
        shot_s = time.monotonic()
        is_new_scene = (self._looks_closely or self._lookout is not None) and self._is_new_scene(pixels)
        suspects = self._suspects(frame, is_new_scene)
        timing_ms = {
            "decode": (frame.decoded_s - frame.arrived_s) * 1e3,
            "wait": (start_s - frame.decoded_s) * 1e3,
            "convert": (converted_s - start_s) * 1e3,
            "screen": (screened_s - converted_s) * 1e3,
            "regions": (regions_s - screened_s) * 1e3,
            "track": (tracked_s - regions_s) * 1e3,
            "shots": (shot_s - tracked_s) * 1e3,
        }
        if suspects is not None:
            timing_ms["lookout"] = (time.monotonic() - shot_s) * 1e3
        return Screened(tracks, timing_ms, self._looks_closely and is_new_scene, shots, suspects)

    def _suspects(self, frame: Frame, is_new_scene: bool) -> Suspects | None:
        if self._lookout is None:
            return None
        if is_new_scene:
            self._lookout.start_over()
        return Suspects(self._tracker.tentative, self._lookout.look(frame))

    def _look_closely(
        self, frame: Frame, found: Detections, sightings: Sequence[Detections]
    ) -> tuple[Detections, list[Detections], frozenset[int]]:
        """What is found where far tracks and those not found should be, then what was found besides; the sightings that
        are not among it: the tracker takes those in, and from the next frame on they are looked at in turn; and the
        tracks whose turn it is not, of which the whole picture is not believed either."""
        assert self._screener is not None
        expected, ids = self._tracker.expect(frame.pts_s), self._tracker.ids
        far_px = FAR_SHARE * max(frame.width, frame.height)
        wanted = np.flatnonzero((_sides(expected) < far_px) | _unmatched(expected, found.boxes))
        after = int(np.searchsorted(ids[wanted], self._looked_at, side="right"))
        wanted = np.roll(wanted, -after)
        turn, rest = wanted[:MAX_REGIONS], wanted[MAX_REGIONS:]
        self._looks = {track: self._looks.get(track, 0) for track in ids.tolist()}
        is_new = np.array([self._looks[track] < NEW_LOOKS for track in ids[rest].tolist()], bool)
        is_new &= np.cumsum(is_new) <= MAX_NEW_REGIONS
        close = Detections.none(found.detector)
        for row in (*turn, *rest[is_new]):
            close = _with_new(close, self._screen_region(frame, tuple(expected[row].tolist())))
            self._looks[int(ids[row])] += 1
        self._looked_at = int(ids[turn[-1]]) if len(turn) else 0
        left = rest[~is_new]
        believed = _unmatched(found.boxes, expected[left]) | (_sides(found.boxes) > 2 * far_px)
        found = _with_new(close, _rows(found, np.flatnonzero(believed)))
        known = np.concatenate([found.boxes, expected[left]])
        new = [sighting for sighting in sightings if _unmatched(sighting.boxes, known).any()]
        return found, new, frozenset(ids[left].tolist())

    def _screen_region(self, frame: Frame, box: Box) -> Detections:
        """The face nearest to the middle of what surrounds a box, or none."""
        assert self._screener is not None
        side = self._screener.input_side or REGION_SIDE
        region = Letterbox.around(box, REGION_FACTOR, side)
        found = self._screener.screen(self._reader.sampled_rgb(frame, region, side), frame.pts_s)
        if len(found) > 1:
            centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
            best = int(np.argmin(np.abs(centres - side / 2).sum(axis=1)))
            found = _rows(found, np.array([best]))
        return unboxed(found, region)

    def _is_new_scene(self, pixels: Image) -> bool:
        scene = np.asarray(cv2.resize(pixels, (SCENE_SIDE, SCENE_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        before, self._scene = self._scene, scene
        return before is not None and float(cv2.absdiff(scene, before).mean()) > SCENE_CHANGE

    def _pixels(self, frame: Frame, side: int | None) -> tuple[Image, Letterbox]:
        if side is not None:
            return self._reader.letterboxed_rgb(frame, side)
        longer = max(frame.width, frame.height)
        if longer <= MAX_FULL_SIDE:
            return self._reader.rgb(frame), Letterbox(1.0, 0.0, 0.0)
        return self._reader.rgb(frame, max_side=SCALED_SIDE), Letterbox(longer / SCALED_SIDE, 0.0, 0.0)

    def close(self) -> None:
        if self._screener is not None:
            self._screener.close()
            self._screener = None
        if self._lookout is not None:
            self._lookout.close()
            self._lookout = None


def _sides(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """The longer side of each box."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1), boxes.dtype)


def _unmatched(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which boxes are of none of the faces in the others."""
    if not len(boxes) or not len(others):
        return np.ones(len(boxes), bool)
    return np.asarray(pairwise_cover(boxes, others).max(axis=1) < SAME_FACE, bool)


def _with_new(found: Detections, more: Detections) -> Detections:
    """`found`, and what `more` has that it has not."""
    new = _rows(more, np.flatnonzero(_unmatched(more.boxes, found.boxes)))
    if not len(new):
        return found
    if not len(found):
        return new
    keypoints = None
    if found.keypoints is not None and new.keypoints is not None:
        keypoints = np.concatenate([found.keypoints, new.keypoints])
    boxes, scores = np.concatenate([found.boxes, new.boxes]), np.concatenate([found.scores, new.scores])
    return Detections(found.detector, boxes, scores, keypoints=keypoints)


def _rows(found: Detections, rows: NDArray[np.intp]) -> Detections:
    keypoints = None if found.keypoints is None else found.keypoints[rows]
    return Detections(found.detector, found.boxes[rows], found.scores[rows], keypoints=keypoints)
