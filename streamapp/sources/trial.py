"""A source tried out, step by step: the way a stream takes to its first pictures, and where it ends if it does not get
there. Leaves nothing open."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceTimeout,
)
from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sections import SourceSettings
from streamapp.sources.base import EncodedPicture, FrameNumbering, Source
from streamapp.sources.networks import pinned_host
from streamapp.sources.open import source_at
from streamapp.sources.rtsp import RtspSource
from streamapp.sources.rtsp_preflight import PreflightStep
from streamapp.sources.url import RtspUrl, SourceAddress, SourceKind

PICTURE_TIMEOUT_S = 10.0
"""For the first picture, once the source is open: cameras' I-frames are up to 10 s apart."""
SAMPLE_S = 1.5
"""How long pictures are counted for their rate."""


class Step(StrEnum):
    """In the order in which they are taken."""

    ADDRESS = "address"
    NAME = "name"
    NETWORK = "network"
    CONNECTION = "connection"
    ANSWER = "answer"
    CREDENTIALS = "credentials"
    STREAM = "stream"
    VIDEO = "video"
    PICTURE = "picture"


_STEPS = dict.fromkeys(SourceKind, (Step.ADDRESS, Step.PICTURE)) | {SourceKind.RTSP: tuple(Step)}


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class StepResult:
    step: Step
    outcome: Outcome
    detail: str
    """In words, without secrets; empty for a step that was not reached."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What came."""

    first_after_ms: float
    """From the beginning of the trial."""
    width: int
    height: int
    codec: str | None
    """FFmpeg's name, where it is known."""
    fps: float | None
    """None: too few came to tell."""


@dataclass(frozen=True, slots=True)
class Trial:
    steps: tuple[StepResult, ...]
    error: SourceError | None
    pictures: Pictures | None

    @classmethod
    def refused(cls, error: SourceError) -> Trial:
        """Of an address that is none."""
        return cls((StepResult(Step.ADDRESS, Outcome.FAILED, str(error)),), error, None)


async def try_source(address: SourceAddress, settings: SourceSettings) -> Trial:
    """Opens a source that was named over HTTP as a stream would, and looks at what comes; within 12 s more than twice
    `sources.open_timeout_s`. Never raises SourceError: the trial says it."""
    course = _Course(_STEPS[address.kind])
    course.passed(Step.ADDRESS, address.redacted)
    try:
        if address.rtsp is None:
            source = source_at(address, FrameNumbering("trial"), settings)
        else:
            await _look_up(address.rtsp, settings, course)
            numbering = FrameNumbering("trial")
            source = RtspSource(address.rtsp, numbering, settings, is_trusted=False, progress=course.follow)
        pictures = await _first_pictures(source, address.redacted, settings.open_timeout_s, course)
    except SourceError as error:
        return Trial(course.failed(error), error, None)
    course.passed(Step.PICTURE, _described(pictures))
    return Trial(course.results(), None, pictures)


async def _look_up(url: RtspUrl, settings: SourceSettings, course: _Course) -> None:
    """What the source will do again by itself, to tell its two steps apart. Raises SourceError."""
    try:
        async with asyncio.timeout(settings.open_timeout_s):
            host = await pinned_host(url, settings.allowed_networks)
    except TimeoutError:
        raise SourceTimeout(f"the name of {url.redacted} was not looked up in time") from None
    except SourceForbidden:
        course.passed(Step.NAME, "known")
        raise
    course.passed(Step.NAME, "an IP address" if host == url.host else f"{url.host} is {host}")
    course.passed(Step.NETWORK, f"cameras may be at {host}")


async def _first_pictures(source: Source, shown: str, open_timeout_s: float, course: _Course) -> Pictures:
    """Raises SourceError."""
    look = _Look()
    running = asyncio.ensure_future(source.run(look))
    enough = asyncio.ensure_future(look.enough.wait())
    try:
        limit_s = open_timeout_s + PICTURE_TIMEOUT_S
        await asyncio.wait((running, enough), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and look.first is None:
            running.result()
            raise SourceEnded(f"{shown} ended before its first picture")
    finally:
        enough.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, SourceError):
            await running
    if look.first is None or look.last is None:
        raise SourceTimeout(f"{shown} sent no picture within {PICTURE_TIMEOUT_S:g} s")
    first, last = look.first, look.last
    span_s, count = last.pts_s - first.pts_s, last.index - first.index
    fps = round(count / span_s, 1) if span_s > 0 else None
    return Pictures(course.ms_until(look.first_s), first.width, first.height, first.codec, fps)


class _Look:
    """An outlet that keeps its first and its newest frame, for as long as pictures are counted."""

    wants_encoded = False
    wants_iframe = False

    def __init__(self) -> None:
        self.first: Frame | None = None
        self.last: Frame | None = None
        self.first_s = 0.0
        self.enough = asyncio.Event()

    def offer(self, frame: Frame) -> None:
        now_s = time.monotonic()
        if self.first is None:
            self.first, self.first_s = frame, now_s
        self.last = frame
        if now_s - self.first_s >= SAMPLE_S:
            self.enough.set()

    async def deliver(self, frame: Frame) -> None:
        self.offer(frame)

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        """The frames' own numbers tell."""

    def connected(self) -> None:
        """The first frame tells."""

    def offer_encoded(self, picture: EncodedPicture) -> None:
        """Not wanted."""


class _Course:
    """Which steps were taken."""

    def __init__(self, steps: tuple[Step, ...], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._steps = steps
        self._details: dict[Step, str] = {}
        self._clock = clock
        self._begun_s = clock()
        self._is_challenged = False

    def ms_until(self, moment_s: float) -> float:
        """From the beginning, in ms."""
        return round((moment_s - self._begun_s) * 1e3, 1)

    def passed(self, step: Step, detail: str) -> None:
        self._details[step] = detail

    def follow(self, progress: PreflightStep) -> None:
        """The steps of the first connection to a camera."""
        after = f"after {self.ms_until(self._clock()):.0f} ms"
        match progress:
            case PreflightStep.CONNECTED:
                self.passed(Step.CONNECTION, f"connected {after}")
            case PreflightStep.ANSWERED:
                self.passed(Step.ANSWER, f"an RTSP server, {after}")
            case PreflightStep.CHALLENGED:
                self._is_challenged = True
            case PreflightStep.DESCRIBED:
                self._let_in()
                self.passed(Step.STREAM, "there")
                self.passed(Step.VIDEO, "offered")

    def results(self) -> tuple[StepResult, ...]:
        return tuple(
            StepResult(step, Outcome.PASSED if step in self._details else Outcome.NOT_REACHED, detail)
            for step in self._steps
            for detail in (self._details.get(step, ""),)
        )

    def failed(self, error: SourceError) -> tuple[StepResult, ...]:
        """The steps until the one that `error` ended."""
        ended_at = self._ended_at(error)
        return tuple(
            StepResult(result.step, Outcome.FAILED, str(error)) if result.step is ended_at else result
            for result in self.results()
        )

    def _ended_at(self, error: SourceError) -> Step:
        """The first step that did not pass; but a camera's one answer, to DESCRIBE, decides on three of them."""
        first = next(step for step in self._steps if step not in self._details)
        if first is not Step.CREDENTIALS or isinstance(error, SourceAuthFailed):
            return first
        self._let_in()
        if isinstance(error, SourceCodecUnsupported):
            self.passed(Step.STREAM, "there")
            return Step.VIDEO
        return Step.STREAM

    def _let_in(self) -> None:
        self.passed(Step.CREDENTIALS, "accepted" if self._is_challenged else "not asked for")


def _described(pictures: Pictures) -> str:
    parts = [f"{pictures.width} × {pictures.height}"]
    if pictures.codec is not None:
        parts.append(pictures.codec)
    if pictures.fps is not None:
        parts.append(f"{pictures.fps:g} fps")
    return f"{', '.join(parts)}; the first after {pictures.first_after_ms:.0f} ms"
