"""Which tracks were handed to another face: their box is not where it was heading. Pure.

A tracker that keeps the id of a fast face now and then gives it to another one, mostly where two cross. What was known
of the first must not be said of the second. Of faces on their way one box in 1000 leaps so far in made-up clips, one in
30 where real people turn and run, seen at 12 pictures a second; of those that are handed on, half.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from streamapp.faces import Track, TrackState
from streamapp.frame import Box

FAR = 0.4
"""In widths of the face, from where it would be had it gone on as in the frame before."""
MAX_SIZE_RATIO = 1.4


class LeapWatch:
    """Over the frames of one stream, in order; the same frame again says nothing."""

    def __init__(self) -> None:
        self._boxes: dict[int, tuple[Box | None, Box]] = {}
        """The last two of each track, the older first; None where there is no such one since it began or leapt."""

    def observe(self, tracks: Sequence[Track]) -> Set[int]:
        """The tracks of a frame that leapt since the one before. One that was seen once goes anywhere."""
        leapt = set()
        boxes: dict[int, tuple[Box | None, Box]] = {}
        for track in tracks:
            before, last = self._boxes.get(track.id, (None, track.box))
            if track.box == last:
                boxes[track.id] = (before, last)
            elif before is not None and track.state is TrackState.CONFIRMED and _is_leap(before, last, track.box):
                leapt.add(track.id)
                boxes[track.id] = (None, track.box)
            else:
                boxes[track.id] = (last, track.box)
        self._boxes = boxes
        return leapt


def _is_leap(before: Box, last: Box, now: Box) -> bool:
    width = max(last[2] - last[0], 1.0)
    ratio = max(now[2] - now[0], 1.0) / width
    off = (
        abs((now[side] + now[side + 2] - 2 * (last[side] + last[side + 2]) + before[side] + before[side + 2]) / 2)
        for side in (0, 1)
    )
    return max(off) > FAR * width or not 1 / MAX_SIZE_RATIO < ratio < MAX_SIZE_RATIO
