"""How well faces keep their ids: the tracks of each mode, against the same boxes given ids frame by frame.

The baseline takes the boxes that the tracks have where a detector saw the face in that very frame, and gives each the
id of the box before that it overlaps most, if enough: no motion, no gaps, no memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamapp.evaluation.clips import LabelledClip
from streamapp.evaluation.mot import Counts, Tally, TrackedFrame, tally
from streamapp.evaluation.statistics import Estimate, Rate, bootstrap_ratio
from streamapp.faces import Floats, Mode, TrackState
from streamapp.geometry import pairwise_iou
from streamapp.results import FrameResult

BLOCK_S = 2.0
"""Frames within so long are drawn together for an interval."""
GREEDY_IOU = 0.3
BASELINE = "frame by frame"

Play = Callable[[Path, Mode], Awaitable[list[FrameResult]]]
"""What a mode says of every frame of a clip."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackingRow:
    """What the tracks of one mode, or its baseline, reached over all clips."""

    mode: Mode
    is_baseline: bool
    tally: Tally
    blocks: Counts
    """The block of each frame."""
    face_minutes: float
    """How long labelled faces are in the picture."""

    @property
    def recall(self) -> Estimate:
        return self._ratio(self.tally.found, self.tally.labelled)

    @property
    def precision(self) -> Estimate:
        return self._ratio(self.tally.found, self.tally.reported)

    @property
    def mota(self) -> Estimate:
        """1 less the share of misses, made-up boxes and switches."""
        t = self.tally
        return self._ratio(2 * t.found - t.reported - t.switches, t.labelled)

    @property
    def idf1(self) -> Estimate:
        return self._ratio(2 * self.tally.kept, self.tally.labelled + self.tally.reported)

    @property
    def switches(self) -> Rate:
        """A minute of a face."""
        return Rate(int(self.tally.switches.sum()), self.face_minutes)

    @property
    def fragments(self) -> Rate:
        """A minute of a face."""
        return Rate(int(self.tally.fragments.sum()), self.face_minutes)

    def _ratio(self, parts: Counts, wholes: Counts) -> Estimate:
        return bootstrap_ratio(parts.astype(np.float64), wholes.astype(np.float64), self.blocks)


async def evaluate(
    clips: Sequence[LabelledClip], modes: Sequence[Mode], play: Play, *, min_iou: float
) -> list[TrackingRow]:
    """Every clip in every mode. Raises UsageError for labels beyond a clip's end, and what `play` raises."""
    rows = []
    for mode in modes:
        tracked: list[Tally] = []
        simple: list[Tally] = []
        blocks: list[NDArray[np.int64]] = []
        face_s = 0.0
        for clip in clips:
            results = await play(clip.path, mode)
            clip.check_length(len(results))
            labels = [clip.at(result.frame) for result in results]
            tracked.append(tally(labels, [_tracks(result) for result in results], min_iou))
            simple.append(tally(labels, frame_by_frame(results), min_iou))
            first = int(blocks[-1][-1]) + 1 if blocks else 0
            blocks.append(np.array([first + int(result.pts_s // BLOCK_S) for result in results], np.int64))
            face_s += sum(len(known.ids) * s for known, s in zip(labels, durations_s(results), strict=True))
        rows += [
            TrackingRow(mode, is_baseline, Tally.joined(of), np.concatenate(blocks), face_s / 60)
            for is_baseline, of in ((False, tracked), (True, simple))
        ]
    return rows


def durations_s(results: Sequence[FrameResult]) -> list[float]:
    """How long each frame is shown; the last as long as the one before."""
    times = np.array([result.pts_s for result in results])
    gaps = np.diff(times)
    return [*gaps.tolist(), float(gaps[-1])] if len(gaps) else [0.0] * len(results)


def frame_by_frame(results: Sequence[FrameResult]) -> list[TrackedFrame]:
    """The baseline's tracks."""
    frames: list[TrackedFrame] = []
    before = TrackedFrame(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    next_id = 1
    for result in results:
        boxes = _boxes([track.box for track in result.tracks if track.state is TrackState.CONFIRMED])
        iou = pairwise_iou(before.boxes, boxes)
        ids = np.zeros(len(boxes), np.int64)
        while iou.size and iou.max() >= GREEDY_IOU:
            row, column = np.unravel_index(int(iou.argmax()), iou.shape)
            ids[column] = before.ids[row]
            iou[row], iou[:, column] = 0.0, 0.0
        fresh = np.flatnonzero(ids == 0)
        ids[fresh] = np.arange(next_id, next_id + len(fresh))
        next_id += len(fresh)
        before = TrackedFrame(ids, boxes)
        frames.append(before)
    return frames


def _tracks(result: FrameResult) -> TrackedFrame:
    ids = np.array([track.id for track in result.tracks], np.int64)
    return TrackedFrame(ids, _boxes([track.box for track in result.tracks]))


def _boxes(boxes: Sequence[tuple[float, float, float, float]]) -> Floats:
    return np.array(boxes, np.float32).reshape(-1, 4)
