"""An escalator at work on frames that a test makes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from streamapp.faces import Detector, Mode, Track, TrackState
from streamapp.pipeline.escalation import Escalator
from streamapp.pipeline.examiner import Examiner
from streamapp.pipeline.schedule import Schedule
from streamapp.pipeline.shots import FaceShot
from streamapp.pipeline.stages import Screened
from tests.fakes import ScriptedModels, ScriptedScheduler
from tests.pictures import frame, video_frame
from tests.pipeline.lineups import Box, lineup
from tests.waiting import until

NEAR, FAR = (100.0, 100.0, 200.0, 220.0), (400.0, 50.0, 440.0, 95.0)


def track(box: Box = NEAR, track_id: int = 1, state: TrackState = TrackState.CONFIRMED) -> Track:
    return Track(track_id, box, 0.9, Detector.MEDIAPIPE, state)


def shot(of: Track, index: int) -> FaceShot:
    """A grey one, that shows the face in its middle."""
    side = of.box[2] - of.box[0]
    box = (side, side, 2 * side, side + of.box[3] - of.box[1])
    pixels = np.full((int(3 * side), int(3 * side), 3), 90, np.uint8)
    return FaceShot(of.id, index, index / 30, pixels, box, of.score, 0.5, 0.5)


class Stream:
    """An escalator at work, and the frames that come by."""

    def __init__(self, escalator: Escalator) -> None:
        self.escalator = escalator

    async def see(self, index: int, *tracks: Track, scene_changed: bool = False) -> tuple[str, ...] | None:
        """The reasons for which the frame was chosen."""
        made = frame(index, video=video_frame(640, 360))
        shots = {one.id: shot(one, index) for one in tracks if one.state is TrackState.CONFIRMED}
        self.sightings = self.escalator.begin_frame(index)
        keyframe = await self.escalator.consider(made, Screened(tracks, {}, scene_changed, shots))
        return None if keyframe is None else keyframe.reasons

    async def settled(self) -> None:
        """Waits until no keyframe is under way."""
        await until(self.escalator._idle.is_set)


@asynccontextmanager
async def stream(
    scheduler: ScriptedScheduler,
    folder: Path,
    mode: Mode = Mode.FULL,
    *,
    lossless: bool = False,
    schedule: Schedule | None = None,
) -> AsyncIterator[Stream]:
    examiner = Examiner(scheduler, lineup(folder))
    escalator = Escalator("cam", mode, ScriptedModels(examiner), lossless=lossless, schedule=schedule)
    running = asyncio.ensure_future(escalator.run())
    try:
        yield Stream(escalator)
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
