"""Clips through the app's own pipeline, every frame of them, so that what comes out depends on the frames alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from streamapp.errors import StreamappError, UsageError
from streamapp.faces import Mode
from streamapp.pipeline.board import ResultBoard
from streamapp.results import FrameResult
from streamapp.runtime import Runtime
from streamapp.settings import Settings
from streamapp.sinks.base import Sink
from streamapp.sinks.result_log import ResultLog
from streamapp.sources.base import Pace, SourceState
from streamapp.sources.file import FileSource

STREAM = "clip"
T = TypeVar("T")


async def play(
    runtime: Runtime, path: Path, mode: Mode, board: ResultBoard | None = None, sinks: Sequence[Sink] = ()
) -> list[FrameResult]:
    """What the app says of every frame. board: what it keeps its findings on; sinks: what else is told. Raises
    UsageError for a file that is no video, and what ended the stream or a sink."""
    session = runtime.open_stream(
        STREAM,
        lambda numbering: FileSource(path, numbering, runtime.settings.sources, pace=Pace.ASAP),
        mode=mode,
        lossless=True,
    )
    if board is not None and session.escalator is not None:
        session.escalator.board = board
    log = ResultLog()
    attachments = [session.attach(sink) for sink in (log, *sinks)]
    await runtime.wait_closed(STREAM)
    await runtime.close_stream(STREAM)
    for error in (session.error, *(attachment.error for attachment in attachments)):
        if error is not None:
            raise error
    if session.status.state is SourceState.FAILED or not log.results:
        raise UsageError(f"{path} cannot be played: {session.status.reason or 'it has no frames'}")
    return log.results


async def with_runtime(settings: Settings, measure: Callable[[Runtime], Awaitable[T]]) -> T:
    """What `measure` finds with the app running. Raises what it raises."""
    failed: StreamappError | None = None
    async with Runtime.start(settings) as runtime:
        try:
            return await measure(runtime)
        except StreamappError as error:
            failed = error  # raised again outside, as a task group would wrap it
    raise failed
