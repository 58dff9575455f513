"""All fakes, in one place."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar
from uuid import UUID

import cv2
import numpy as np

from streamapp.errors import ModelMissing, OverBudget
from streamapp.faces import Detections, Detector, Floats, Mode
from streamapp.findings import Embedding
from streamapp.frame import Frame, Image
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.search import SearchResult
from streamapp.pipeline.examiner import Examiner
from streamapp.results import DropReason, ImageResult
from streamapp.scheduler.api import Done, Dropped, Failed, Item, Job, ModelRun, Outcome, Value
from streamapp.sinks.base import Inbox, Output
from streamapp.sinks.webrtc_track import PictureEncoder
from streamapp.sources.base import EncodedPicture, FrameNumbering, Outlet
from streamapp.zoo.base import Crop, Face, ModelSession, ModelSpec, TensorShape
from tests.pictures import video_frame
from tests.waiting import until
from tests.webrtc_peers import numbered_picture

Box = tuple[float, float, float, float]
_Value = TypeVar("_Value")


class ScriptedScreener:
    """A FaceScreener that answers from a script: one list of boxes per call, the last one for ever after."""

    variant = "scripted"
    input_side = None

    def __init__(self, script: Sequence[Sequence[Box]] = ((),), *, gate: threading.Event | None = None) -> None:
        self.calls = 0
        self.closed = False
        self.threads: set[int] = set()
        self._script = script
        self._gate = gate
        """If given, each call waits for it: a stage as slow as the test wants."""

    def screen(self, rgb: Image, pts_s: float) -> Detections:
        if self._gate is not None:
            assert self._gate.wait(10), "the test never opened the gate"
        boxes = self._script[min(self.calls, len(self._script) - 1)]
        self.calls += 1
        self.threads.add(threading.get_ident())
        columns = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(Detector.MEDIAPIPE, columns, np.full(len(columns), 0.9, np.float32))

    def close(self) -> None:
        self.closed = True


class ScriptedSource:
    """A Source that delivers `count` grey frames, then ends or raises. Waits for room unless `live`."""

    def __init__(
        self,
        numbering: FrameNumbering,
        count: int,
        *,
        live: bool = False,
        error: Exception | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        self.live = live
        self._numbering = numbering
        self._count = count
        self._error = error
        self._hold = hold
        """If given, the source stays open after its last frame until this is set."""

    async def run(self, outlet: Outlet) -> None:
        for index in range(self._count):
            made = self._numbering.frame(video_frame(), index / 30, arrived_s=time.monotonic())
            if index == 0:
                outlet.connected()
            if self.live:
                outlet.offer(made)
                await asyncio.sleep(0)
            else:
                await outlet.deliver(made)
        if self._hold is not None:
            await self._hold.wait()
        if self._error is not None:
            raise self._error


class CollectingSink:
    """Keeps every output it is given."""

    def __init__(self, *, lossless: bool = True) -> None:
        self.lossless = lossless
        self.outputs: list[Output] = []
        self.finished = False

    async def run(self, inbox: Inbox) -> None:
        try:
            while (output := await inbox.get()) is not None:
                self.outputs.append(output)
        finally:
            self.finished = True


class BrokenSink:
    """Fails at the first output."""

    lossless = True

    async def run(self, inbox: Inbox) -> None:
        await inbox.get()
        raise RuntimeError("broken on purpose")


class CollectingOutlet:
    """An Outlet that keeps everything a source gives it. `deliver` waits for `room` to be set, if given."""

    def __init__(self, *, wants_encoded: bool = False, room: asyncio.Event | None = None) -> None:
        self.frames: list[Frame] = []
        self.coded: list[EncodedPicture] = []
        self.dropped: Counter[DropReason] = Counter()
        self.connections = 0
        self.wants_encoded = wants_encoded
        self.wants_iframe = wants_encoded
        self._room = room

    def offer(self, frame: Frame) -> None:
        self.frames.append(frame)

    async def deliver(self, frame: Frame) -> None:
        if self._room is not None:
            await self._room.wait()
        self.frames.append(frame)

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        self.dropped[reason] += count

    def connected(self) -> None:
        self.connections += 1

    def offer_encoded(self, picture: EncodedPicture) -> None:
        self.coded.append(picture)


class NumberedSource:
    """A live Source of numbered pictures (tests.webrtc_peers), 30 a second; a picture's number is its frame's index.
    With `codec` h264 it has coded pictures too, an I-frame every `gop`; `b_frames` only says that there are some."""

    live = True

    def __init__(
        self, numbering: FrameNumbering, *, codec: str | None = None, gop: int = 30, b_frames: bool = False
    ) -> None:
        self._numbering = numbering
        self._codec = codec
        self._gop = gop
        self._b_frames = b_frames
        self.coded = 0

    async def run(self, outlet: Outlet) -> None:
        encoder = None if self._codec is None else PictureEncoder(self._codec, 1_000_000)
        start_s = time.monotonic()
        outlet.connected()
        for number in range(1_000_000):
            await asyncio.sleep(max(0.0, start_s + number / 30 - time.monotonic()))
            is_iframe = number % self._gop == 0
            picture = numbered_picture(number)
            picture.pts, picture.time_base = number, Fraction(1, 30)
            frame = self._numbering.frame(picture, number / 30, arrived_s=time.monotonic(), codec=self._codec)
            if encoder is not None and self._codec is not None:
                data = encoder.encode(numbered_picture(number), frame.pts_s, iframe=is_iframe)
                if outlet.wants_encoded:
                    outlet.offer_encoded(EncodedPicture(data, frame.pts_s, is_iframe, self._codec, self._b_frames))
                    self.coded += 1
            outlet.offer(frame)


class ScriptedSession:
    """A ModelSession that gives the same outputs for every item of every batch, and remembers its batches."""

    providers: tuple[str, ...] = ("CPUExecutionProvider",)

    def __init__(self, variant: str, side: int, outputs: Sequence[Floats]) -> None:
        self.variant = variant
        self.input = TensorShape("input", (None, 3, side, side))
        self.outputs = tuple(TensorShape(f"output{i}", (None, *output.shape)) for i, output in enumerate(outputs))
        self.batches: list[Floats] = []
        self._given = outputs

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        self.batches.append(batch)
        return tuple(np.repeat(output[None], len(batch), axis=0) for output in self._given)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class BrightnessModel(Generic[_Value]):
    """A model whose answer is made of the mean brightness, 0 to 1, of what it is shown."""

    spec: ModelSpec
    answer: Callable[[float], _Value]

    def cut(self, rgb: Image, face: Face) -> Crop:
        return Crop(rgb)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return np.array([[item.pixels.mean() / 255] for item in items], np.float32)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[_Value]:
        return [self.answer(float(row[0])) for row in outputs[0]]


class EchoSession:
    """A ModelSession that gives back what it is given."""

    variant = "echo"
    input = TensorShape("in", (None, 1))
    outputs = (TensorShape("out", (None, 1)),)
    providers = ("CPU",)

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        return (batch,)

    def close(self) -> None:
        pass


class NoModels:
    """What a stream sees of the models where none but the screener is installed."""

    vote_rules = VoteRules()

    @property
    def examiner(self) -> Examiner:
        raise AssertionError("nothing may be examined in this mode")

    async def require(self, mode: Mode) -> None:
        if mode is not Mode.FAST:
            raise ModelMissing(f"mode {mode} needs a model that is not installed")

    def name_of(self, person_id: UUID) -> str | None:
        return None

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        return None

    def note_seen(self, person_id: UUID) -> None:
        raise AssertionError("nobody can be identified in this mode")


class ScriptedModels(NoModels):
    """Models with an examiner, and a gallery that gives the same answer to every face; None for no gallery."""

    def __init__(self, examiner: Examiner, answer: SearchResult | None = None) -> None:
        self._examiner = examiner
        self.answer = answer
        self.names: dict[UUID, str] = {}
        self.probes: list[set[str]] = []
        self.seen: list[UUID] = []

    @property
    def examiner(self) -> Examiner:
        return self._examiner

    async def require(self, mode: Mode) -> None:
        pass

    def name_of(self, person_id: UUID) -> str | None:
        return self.names.get(person_id)

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        self.probes.append(set(probe))
        return self.answer

    def note_seen(self, person_id: UUID) -> None:
        self.seen.append(person_id)


class ScriptedExaminer:
    """A PictureExaminer that finds nothing, or raises. Remembers what it was asked. Insists on being given pictures
    that nobody else keeps."""

    def __init__(self, *, error: Exception | None = None, hold: asyncio.Event | None = None) -> None:
        self.asked: list[tuple[Mode, tuple[int, ...], str]] = []
        self.running = 0
        self.cancelled = 0
        self._error = error
        self._hold = hold
        """If given, each call waits for it."""

    async def examine(self, rgb: Image, mode: Mode, *, client: str) -> ImageResult:
        self.asked.append((mode, rgb.shape, client))
        height, width = rgb.shape[:2]
        picture = weakref.ref(rgb)
        del rgb
        await until(lambda: picture() is None)  # its memory is free while a slow model works
        self.running += 1
        try:
            if self._hold is not None:
                await self._hold.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self._error is not None:
            raise self._error
        return ImageResult(width, height, mode, (), (), (), {"total": 1.0})


class CountedLease:
    """A Lease that counts how often it was given back."""

    def __init__(self, sessions: Mapping[str, ModelSession]) -> None:
        self.sessions = sessions
        self.releases = 0

    def release(self) -> None:
        self.releases += 1


class ScriptedResidency:
    """A Residency without memory. A variant of `gates` takes until its event to load, one of `errors` cannot be. With
    `refuses_late`, a request that has to wait ends at its deadline."""

    def __init__(self, *, refuses_late: bool = False) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.errors: dict[str, Exception] = {}
        self.asked: list[tuple[str, ...]] = []
        self.leases: list[CountedLease] = []
        self.loading = 0
        self._refuses_late = refuses_late

    @property
    def held(self) -> int:
        """Leases not given back yet."""
        return sum(lease.releases == 0 for lease in self.leases)

    async def lease(self, variants: Sequence[str], *, deadline_s: float) -> CountedLease:
        self.asked.append(tuple(variants))
        for variant in variants:
            if variant in self.gates:
                await self._load(self.gates[variant], deadline_s)
            if variant in self.errors:
                raise self.errors[variant]
        lease = CountedLease({variant: ScriptedSession(variant, 1, ()) for variant in variants})
        self.leases.append(lease)
        return lease

    async def _load(self, gate: asyncio.Event, deadline_s: float) -> None:
        self.loading += 1
        try:
            async with asyncio.timeout(deadline_s - time.monotonic() if self._refuses_late else None):
                await gate.wait()
        except TimeoutError as error:
            raise OverBudget("no room by then") from error
        finally:
            self.loading -= 1

    async def close(self) -> None:
        assert self.held == 0


class ScriptedOperation:
    """An Operation on numbers: gives each ten times, or what `work` makes of all, and remembers its batches."""

    def __init__(self, name: str = "tens", work: Callable[[Sequence[int]], Sequence[int]] | None = None) -> None:
        self.name = name
        self.variants = (name,)
        self.batches: list[list[int]] = []
        self._work = work

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[int]) -> Sequence[int]:
        assert set(sessions) == set(self.variants)
        self.batches.append(list(items))
        return [10 * item for item in items] if self._work is None else self._work(items)


Answer = Callable[[Any], Any] | Dropped | Failed
"""What gives the value of one item, or how the job ends without one."""


class ScriptedScheduler:
    """A Scheduler that answers each operation, by its name, from a script, and remembers its jobs.

    gate: if given, no job ends before it is set."""

    def __init__(self, script: Mapping[str, Answer], *, gate: asyncio.Event | None = None) -> None:
        self.script = dict(script)
        self.jobs: list[Job[Any, Any]] = []
        self.gate = gate

    @property
    def asked(self) -> list[str]:
        """The operations of all jobs so far."""
        return [job.operation.name for job in self.jobs]

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        if not job.items:
            return Done((), (), 0.0, 0.0)
        self.jobs.append(job)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.script[job.operation.name]
        if isinstance(answer, Dropped | Failed):
            return answer
        runs = tuple(ModelRun(name, "CPUExecutionProvider") for name in job.operation.variants)
        return Done([answer(item) for item in job.items], runs, 0.0, 0.0)


class SpotScreener:
    """A FaceScreener that takes bright spots for faces, but sees, as BlazeFace does, only those that fill a good
    part of the picture it is shown."""

    variant = "spots"
    input_side = 128
    min_side_px = 24

    def __init__(self) -> None:
        self.calls = 0

    def screen(self, rgb: Image, pts_s: float) -> Detections:
        assert rgb.shape == (self.input_side, self.input_side, 3)
        self.calls += 1
        _, _, spots, _ = cv2.connectedComponentsWithStats((rgb.mean(axis=2) > 160).astype(np.uint8))
        near = [spot for spot in spots[1:, :4].tolist() if min(spot[2:]) >= self.min_side_px]
        boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in near], np.float32).reshape(-1, 4)
        keypoints = np.repeat(boxes[:, None, :2], 6, axis=1)
        return Detections(Detector.MEDIAPIPE, boxes, np.full(len(boxes), 0.9, np.float32), keypoints=keypoints)

    def close(self) -> None:
        pass
