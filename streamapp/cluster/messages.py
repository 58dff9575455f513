"""What crosses between machines. No clock readings: those of two machines have nothing to do with each other; all times
are seconds left or passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import cv2
import numpy as np

from streamapp.errors import ModelInputInvalid
from streamapp.hosting.machine import MachineFigures
from streamapp.scheduler.api import Job, Priority
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.scheduler.router import DeviceReport
from streamapp.zoo.base import Crop, Operation


@dataclass(frozen=True, slots=True)
class CodedCrop:
    """A Crop as JPEG (ITU-T T.81), its colours at full resolution."""

    jpeg: bytes

    @classmethod
    def of(cls, crop: Crop, quality: int) -> CodedCrop:
        full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        bgr = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour))
        return cls(jpeg.tobytes())

    def crop(self) -> Crop:
        """Raises ModelInputInvalid."""
        bgr = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ModelInputInvalid("a crop arrived that is no JPEG")
        return Crop(np.ascontiguousarray(bgr[..., ::-1], np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class SentJob:
    """A job on its way; `left_s` is its time from its arrival on, the way back taken off. origin: the machine it comes
    from."""

    operation: Operation[Any, Any]
    items: Sequence[Any]
    owner: str
    priority: Priority
    left_s: float
    reason: str
    origin: str = ""

    @classmethod
    def of(
        cls, job: Job[Any, Any], *, now_s: float, way_s: float, origin: str = "", quality: int | None = None
    ) -> SentJob:
        """way_s: what there and back takes; quality: of crops as JPEG, 1 to 100; None: as they are."""
        left_s = job.deadline_s - now_s - way_s
        items = job.items
        if quality is not None:
            items = [CodedCrop.of(item, quality) if isinstance(item, Crop) else item for item in items]
        return cls(job.operation, items, job.owner, job.priority, left_s, job.reason, origin)

    def job(self, now_s: float) -> Job[Any, Any]:
        """As the receiver's clock has it."""
        items = [item.crop() if isinstance(item, CodedCrop) else item for item in self.items]
        return Job(self.operation, items, self.owner, self.priority, now_s + self.left_s, self.reason)


@dataclass(frozen=True, slots=True)
class Crossed:
    """Bytes of what one machine asked a device of another one, and of what that answered."""

    asked_bytes: int
    answered_bytes: int


@dataclass(frozen=True, slots=True)
class SentReport:
    """A device at one moment. costs: of every variant it could load; machine: where it is; crossed: by the machine that
    asked."""

    node: str
    report: DeviceReport
    costs: Mapping[str, VariantCost]
    state: SchedulerState
    memory: ResidencySnapshot
    machine: MachineFigures
    crossed: Mapping[str, Crossed]


def content_bytes(value: object) -> int:
    """Of arrays, texts and numbers in something that crosses, whatever they are wrapped in."""
    match value:
        case np.ndarray():
            return value.nbytes
        case bytes() | str():
            return len(value)
        case Mapping():
            return sum(content_bytes(key) + content_bytes(each) for key, each in value.items())
        case list() | tuple():
            return sum(map(content_bytes, value))
        case _ if is_dataclass(value):
            return sum(content_bytes(getattr(value, field.name)) for field in fields(value))
        case _:
            return 8
