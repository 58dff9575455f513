"""`streamapp run`: one source, its sinks, and a line of progress."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from streamapp.errors import ExitCode, UsageError
from streamapp.faces import Mode
from streamapp.log import redact
from streamapp.pipeline.fanout import Attachment
from streamapp.pipeline.session import StreamSession
from streamapp.runtime import Runtime
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox, Sink
from streamapp.sinks.json_lines import JsonLines
from streamapp.sinks.recorder import Recorder
from streamapp.sources.base import Pace, SourceState, SourceStatus
from streamapp.sources.open import source_at
from streamapp.sources.url import parse

STREAM = "run"
REFRESH_S = 0.2


@dataclass(frozen=True, slots=True)
class RunOptions:
    source: str
    mode: Mode
    json: str | None
    """A path, "-" for standard output, or None."""
    record: Path | None
    pace: Pace
    max_frames: int | None
    privacy: bool = False


async def run_source(options: RunOptions, settings: Settings) -> ExitCode:
    """Runs one source to its end, to `max_frames` or to Ctrl-C. A live source is reopened when lost, but must be there
    at the start. Returns SOURCE_FAILED or CHECK_FAILED (a sink failed) after saying why; raises ModelError,
    SourceUrlInvalid, UsageError.
    """
    address = parse(options.source)
    meter = _Meter()
    with contextlib.ExitStack() as files:
        sinks: list[Sink] = [meter]
        if options.json is not None:
            sinks.append(JsonLines(files.enter_context(_json_file(options.json))))
        if options.record is not None:
            sinks.append(Recorder(options.record, settings.recording, lossless=options.pace is Pace.ASAP))
        async with Runtime.start(settings) as runtime, asyncio.TaskGroup() as group:
            session = runtime.open_stream(
                STREAM,
                lambda numbering: source_at(address, numbering, settings.sources, pace=options.pace),
                mode=options.mode,
                description=address.redacted,
                private=options.privacy,
                max_frames=options.max_frames,
                lossless=options.pace is Pace.ASAP,
            )
            attachments = [session.attach(sink) for sink in sinks]
            start = _StartWatch(session)
            group.create_task(_stop_with_reader(session, attachments))
            with _stop_on_signals(session):
                await _show_progress(session, meter, runtime.wait_closed(STREAM), options.max_frames)
        return _outcome(session, start, attachments)


class _Meter:
    """Keeps what the line of progress shows."""

    lossless = False

    def __init__(self) -> None:
        self.latency_ms: deque[float] = deque(maxlen=150)
        self.faces = 0

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            self.latency_ms.append(output.result.timing_ms["total"])
            self.faces = len(output.result.tracks)

    def line(self, session: StreamSession) -> str:
        parts = [f"{session.frames} frames", f"{session.fps:.1f} fps", f"{self.faces} faces"]
        parts.append(f"{sum(session.dropped.values())} dropped")
        if self.latency_ms:
            p50, p95 = np.percentile(self.latency_ms, [50, 95])
            parts.append(f"{p50:.1f} ms (p95 {p95:.1f})")
        status = session.status
        parts.append(status.state.value if status.reason is None else f"{status.state.value}: {status.reason}")
        return " · ".join(parts)


class _StartWatch:
    """Ends a run whose source could not be opened at all; once it was live, the supervisor's retries go on."""

    def __init__(self, session: StreamSession) -> None:
        self.failure: SourceStatus | None = None
        self._session = session
        self._was_live = False
        session.watch_status(self._on_status)

    def _on_status(self, status: SourceStatus) -> None:
        if status.state is SourceState.LIVE:
            self._was_live = True
        elif status.state is SourceState.FAILED or (status.reason is not None and not self._was_live):
            self.failure = status
            self._session.request_stop()


async def _stop_with_reader(session: StreamSession, attachments: list[Attachment]) -> None:
    """Ends the run when who reads the results has gone."""
    for attachment in attachments:
        if isinstance(attachment.sink, JsonLines):
            await attachment.wait()
            session.request_stop()


@contextlib.contextmanager
def _stop_on_signals(session: StreamSession) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run cleanly."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, session.request_stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _show_progress(
    session: StreamSession, meter: _Meter, closed: Awaitable[object], max_frames: int | None
) -> None:
    """Waits for the end of the run; on a terminal, with a line of progress on standard error."""
    console = Console(stderr=True)
    end = asyncio.ensure_future(closed)
    if not console.is_terminal:
        await end
        return
    columns = (SpinnerColumn(), BarColumn(bar_width=10), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, auto_refresh=False, transient=False) as progress:
        bar = progress.add_task("connecting", total=max_frames)
        while not end.done():
            await asyncio.wait((end,), timeout=REFRESH_S)
            progress.update(bar, completed=session.frames if max_frames else 0, description=meter.line(session))
            progress.refresh()


def _outcome(session: StreamSession, start: _StartWatch, attachments: list[Attachment]) -> ExitCode:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if session.error is not None:
        raise session.error
    if start.failure is not None:
        console.print(f"error: {start.failure.reason}", markup=False)
        return ExitCode.SOURCE_FAILED
    failed = [attachment.error for attachment in attachments if attachment.error is not None]
    for error in failed:
        console.print(f"error: {redact(str(error))}", markup=False)
    return ExitCode.CHECK_FAILED if failed else ExitCode.OK


@contextlib.contextmanager
def _json_file(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("w", encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"results cannot be written to {name}: {error.strerror}") from error
        yield file
