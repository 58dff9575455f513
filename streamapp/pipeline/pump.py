"""The frame pump: takes the newest frame, screens it off the loop, hands the result to the sinks.

With an escalator it also offers each frame for escalation and shows what the board knows by now; it waits for neither,
unless the stream is lossless.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from streamapp.faces import Mode, Track
from streamapp.frame import Frame
from streamapp.pipeline.board import ResultBoard
from streamapp.pipeline.escalation import Escalator
from streamapp.pipeline.mailbox import Mailbox
from streamapp.pipeline.report import rounded_times, track_result
from streamapp.pipeline.stages import Screened, ScreeningStage
from streamapp.results import Analyses, DropReason, FrameResult, Keyframe, TrackResult
from streamapp.sinks.base import Output
from streamapp.sinks.veil import Suspects, Veil


class FramePump:
    """Runs one stream's per-frame path. `dropped` is the stream's live drop counter; it is copied into each result."""

    def __init__(
        self,
        stage: ScreeningStage,
        mode: Mode,
        dropped: Counter[DropReason],
        publish: Callable[[Output], Awaitable[None]],
        escalator: Escalator | None = None,
        veil: Veil | None = None,
    ) -> None:
        """veil: of a private stream."""
        self._stage = stage
        self._mode = mode
        self._dropped = dropped
        self._publish = publish
        self._escalator = escalator
        self._veil = veil

    async def run(self, frames: Mailbox[Frame], max_frames: int | None = None) -> None:
        """Pumps until the mailbox is closed and empty, or `max_frames` results are out.

        Raises ModelError when the screener cannot be loaded.
        """
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="screen")
        try:
            await loop.run_in_executor(thread, self._stage.open)
            count = 0
            while count != max_frames and (frame := await frames.get()) is not None:
                sightings = self._escalator.begin_frame(frame.index) if self._escalator else ()
                screened = await loop.run_in_executor(thread, self._stage.process, frame, sightings)
                keyframe = None
                if self._escalator is not None:
                    keyframe = await self._escalator.consider(frame, screened)
                output = Output(frame, self._result(frame, screened, keyframe))
                if self._veil is not None:
                    output = await loop.run_in_executor(thread, _veiled, self._veil, output, screened.suspects)
                await self._publish(output)
                count += 1
        finally:
            thread.submit(self._stage.close)
            thread.shutdown(wait=False)  # a model at work must not hold up the loop

    def _result(self, frame: Frame, screened: Screened, keyframe: Keyframe | None) -> FrameResult:
        board = self._escalator.board if self._escalator else None
        timing_ms = screened.timing_ms | {"total": (time.monotonic() - frame.arrived_s) * 1e3}
        return FrameResult(
            stream=frame.stream,
            frame=frame.index,
            pts_s=round(frame.pts_s, 6),
            captured_at=round(frame.captured_at, 6),
            width=frame.width,
            height=frame.height,
            mode=self._mode,
            tracks=tuple(_tracked(track, board, frame.pts_s) for track in screened.tracks),
            keyframe=keyframe,
            timing_ms=rounded_times(timing_ms),
            dropped={reason: count for reason, count in self._dropped.items() if count},
            answers=self._escalator.answered if self._escalator else (),
        )


def _veiled(veil: Veil, output: Output, suspects: Suspects | None) -> Output:
    """With the time that took."""
    start_s = time.monotonic()
    veiled = veil.over(output, suspects)
    taken = {"veil": (time.monotonic() - start_s) * 1e3, "total": (time.monotonic() - output.frame.arrived_s) * 1e3}
    timing_ms = rounded_times({**output.result.timing_ms, **taken})
    return replace(veiled, result=replace(output.result, timing_ms=timing_ms))


def _tracked(track: Track, board: ResultBoard | None, now_s: float) -> TrackResult:
    if board is None:
        return track_result(track, Analyses(), {})
    landmarks = track.landmarks or board.landmarks(track, now_s)
    return track_result(replace(track, landmarks=landmarks), board.analyses(track.id, now_s), board.skipped(track.id))
