"""From what the benchmark page logged to latencies. Pure; times in milliseconds of the page's clock.

Every latency starts at the camera's capture time of that very picture, and every picture that has one is counted,
however early it came back.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MAX_LATENCY_MS = 4000.0
"""Beyond, a number may mean a later picture: they begin again after 8 s."""
MAX_CLOCK_ERROR_MS = 16.0
"""Results are told apart by capture time: the pictures are 33 ms apart."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture's number and when the camera took it, or when it is displayed."""

    number: int
    at_ms: float


@dataclass(frozen=True, slots=True)
class Message:
    """One result from the data channel. `captured_ms` is the server's idea of when the camera took the picture."""

    arrived_ms: float
    captured_ms: float | None = None
    pts_ms: float | None = None
    number: int | None = None
    """The picture's number, from servers that read it."""
    detector_ms: float = 0.0
    server_ms: float | None = None
    """From the picture's last packet to the result leaving the pump."""
    steps_ms: Mapping[str, float] = field(default_factory=dict)
    """What the server says its stages took."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """What could be timed, of how many there were."""

    values_ms: tuple[float, ...]
    total: int
    clock_error_ms: float | None = None
    """Median of the server's capture times minus the camera's own; None where numbers were read."""

    @property
    def kept(self) -> float:
        return len(self.values_ms) / self.total if self.total else 0.0

    def percentile(self, percent: float) -> float:
        """Linear between the two nearest; NaN when empty."""
        ordered = sorted(self.values_ms)
        if not ordered:
            return float("nan")
        place = (len(ordered) - 1) * percent / 100
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def display_latencies(camera: Iterable[Seen], shown: Iterable[Seen]) -> Latencies:
    """From capture to display of the returned picture. A picture displayed twice counts when it is first."""
    captures = _captures(camera)
    values: list[float] = []
    total = 0
    previous: int | None = None
    for picture in shown:
        if picture.number == previous:
            continue
        previous = picture.number
        total += 1
        captured_ms = _latest_before(captures.get(picture.number, ()), picture.at_ms)
        if captured_ms is not None:
            values.append(picture.at_ms - captured_ms)
    return Latencies(tuple(values), total)


def message_latencies(
    camera: Sequence[Seen], messages: Sequence[Message], *, without_detector: bool = False
) -> Latencies:
    """From capture to the arrival of the result, less the detector's own time if `without_detector`.

    The picture is found by its number, or by the server's capture time, and only the camera's own capture time
    enters the figure. Presentation times tie early results, sent before the server knew the camera's clock, to later
    ones.
    """
    captures = _captures(camera)
    times_ms = sorted(seen.at_ms for seen in camera)
    offset_ms = _capture_offset(messages)
    values: list[float] = []
    errors: list[float] = []
    for message in messages:
        if message.number is not None:
            captured_ms = _latest_before(captures.get(message.number, ()), message.arrived_ms)
        elif offset_ms is not None and message.pts_ms is not None:
            captured_ms = _nearest(times_ms, message.pts_ms + offset_ms)
            if captured_ms is not None:
                errors.append(message.pts_ms + offset_ms - captured_ms)
        else:
            captured_ms = None
        if captured_ms is not None:
            values.append(message.arrived_ms - captured_ms - (message.detector_ms if without_detector else 0.0))
    return Latencies(tuple(values), len(messages), statistics.median(errors) if errors else None)


def _captures(camera: Iterable[Seen]) -> dict[int, list[float]]:
    captures: dict[int, list[float]] = defaultdict(list)
    for seen in camera:
        captures[seen.number].append(seen.at_ms)
    return {number: sorted(times) for number, times in captures.items()}


def _latest_before(captures_ms: Sequence[float], at_ms: float) -> float | None:
    place = bisect_left(captures_ms, at_ms)
    if place == 0 or at_ms - captures_ms[place - 1] > MAX_LATENCY_MS:
        return None
    return captures_ms[place - 1]


def _nearest(times_ms: Sequence[float], at_ms: float) -> float | None:
    place = bisect_left(times_ms, at_ms)
    around = times_ms[max(0, place - 1) : place + 1]
    nearest = min(around, key=lambda time_ms: abs(time_ms - at_ms), default=None)
    return nearest if nearest is not None and abs(nearest - at_ms) <= MAX_CLOCK_ERROR_MS else None


def _capture_offset(messages: Sequence[Message]) -> float | None:
    """Capture time minus presentation time, by the later half of the results."""
    late = messages[len(messages) // 2 :]
    offsets = [m.captured_ms - m.pts_ms for m in late if m.captured_ms is not None and m.pts_ms is not None]
    return statistics.median(offsets) if offsets else None
