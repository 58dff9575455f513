"""What two runs over the same frames decided differently. Pure.

Results are compared field by field, however deep they lie, so that a field added later is compared too. Numbers may
differ by the tolerance of their field, everything else must be the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamapp.geometry import pairwise_iou
from streamapp.results import FrameResult, TrackResult

Scalar = str | int | float | bool | None
Value = Scalar | tuple["Value", ...]

MEASURED = ("stream", "captured_at", "timing_ms", "dropped")
"""Fields of a result that say when and where it was made, not what was decided."""
TOLERANCES: Mapping[str, float] = {
    "box": 1.0,
    "landmarks": 1.5,
    "keypoints": 1.5,
    "score": 0.02,
    "similarity": 0.05,
    "margin": 0.05,
    "scores": 0.01,
    "confidence": 0.02,
    "attacks": 0.02,
    "age_years": 0.5,
}
"""By field, and for what lies in it. They take in how much processors and builds of the runtimes differ; lengths are in
pixels of the picture. Fields not named here must be the same."""
EXACT: Mapping[str, float] = {}
SAME_FACE = 0.3
"""Intersection over union from which tracks of different ids are taken to be of one face."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that was something else before. track: by the id it is told under now, or was; None: of the frame."""

    frame: int
    track: int | None
    field: str
    """As a path: `liveness.state`. Of a whole frame or track that only one of the runs has: `result`, `track`."""
    was: Value
    now: Value


def differences(
    was: Iterable[FrameResult], now: Iterable[FrameResult], tolerances: Mapping[str, float] = TOLERANCES
) -> list[Difference]:
    """All of them, by frame. Of a frame or track that only one of the runs has, that is the only difference."""
    before, after = {one.frame: one for one in was}, {one.frame: one for one in now}
    found: list[Difference] = []
    for frame in sorted(before.keys() | after.keys()):
        if frame in before and frame in after:
            found.extend(_of_frame(before[frame], after[frame], tolerances))
        else:
            found.append(Difference(frame, None, "result", *_presence(frame in before)))
    return found


def decision(result: FrameResult) -> str:
    """What was decided about a frame, as a line of JSON whose fields keep their order."""
    told = json.loads(result.to_json())
    decided = {name: value for name, value in told.items() if name not in MEASURED}
    for track in decided["tracks"]:
        if "identity" in track["analyses"]:
            track["analyses"]["identity"]["name"] = None  # who it is was decided, not what people call them
    return json.dumps(decided, ensure_ascii=False, separators=(",", ":"))


def _of_frame(was: FrameResult, now: FrameResult, tolerances: Mapping[str, float]) -> Iterator[Difference]:
    before, after = _fields(was), _fields(now)
    tracks_before, tracks_after = _tracks(before), _tracks(after)
    yield from _changed(was.frame, None, before, after, tolerances)
    for old, new in matched(was.tracks, now.tracks):
        if old is None or new is None:
            track = was.tracks[old].id if old is not None else now.tracks[new or 0].id
            yield Difference(was.frame, track, "track", *_presence(old is not None))
        else:
            yield from _changed(was.frame, now.tracks[new].id, tracks_before[old], tracks_after[new], tolerances)


def matched(was: Sequence[TrackResult], now: Sequence[TrackResult]) -> list[tuple[int | None, int | None]]:
    """Pairs of positions: tracks of one id that overlap, then others that do, best first, then those of one id however
    far apart; then, alone, those that only one side has."""
    pairs: list[tuple[int, int]] = []
    ids = {track.id: column for column, track in enumerate(now)}
    overlaps = pairwise_iou(_boxes(was), _boxes(now))
    by_id = [(row, ids[track.id]) for row, track in enumerate(was) if track.id in ids]
    pairs += [(row, column) for row, column in by_id if overlaps[row, column] >= SAME_FACE]
    for row, column in pairs:
        overlaps[row], overlaps[:, column] = 0.0, 0.0
    for row, column in zip(*linear_sum_assignment(-overlaps), strict=True):
        if overlaps[row, column] >= SAME_FACE:
            pairs.append((int(row), int(column)))
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    pairs += [(row, column) for row, column in by_id if row not in rows and column not in columns]
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    return [
        *sorted(pairs),
        *((row, None) for row in range(len(was)) if row not in rows),
        *((None, column) for column in range(len(now)) if column not in columns),
    ]


def _boxes(tracks: Sequence[TrackResult]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([track.box for track in tracks], np.float64).reshape(-1, 4)


def _fields(result: FrameResult) -> dict[str, object]:
    fields: dict[str, object] = json.loads(decision(result))
    return fields


def _tracks(fields: dict[str, object]) -> list[object]:
    """Takes the tracks out."""
    tracks = fields.pop("tracks")
    assert isinstance(tracks, list)
    return tracks


def _changed(
    frame: int, track: int | None, was: object, now: object, tolerances: Mapping[str, float], path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """By field. What has fields on one side only is one difference. The analyses are told without that word."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*was, *now]):
            deeper = path if name == "analyses" else (*path, name)
            yield from _changed(frame, track, was.get(name), now.get(name), tolerances, deeper)
    elif not _alike(before := _value(was), after := _value(now), _tolerance(path, tolerances)):
        yield Difference(frame, track, ".".join(path), before, after)


def _value(value: object) -> Value:
    if isinstance(value, dict):
        return " ".join(f"{name}={inner}" for name, inner in value.items() if inner != {})
    if isinstance(value, list):
        return tuple(map(_value, value))
    assert value is None or isinstance(value, str | int | float)
    return value


def _tolerance(path: tuple[str, ...], tolerances: Mapping[str, float]) -> float:
    return next((tolerances[name] for name in reversed(path) if name in tolerances), 0.0)


def _alike(was: Value, now: Value, tolerance: float) -> bool:
    if isinstance(was, tuple) and isinstance(now, tuple):
        return len(was) == len(now) and all(_alike(one, other, tolerance) for one, other in zip(was, now, strict=True))
    if _is_number(was) and _is_number(now):
        return was == now or abs(was - now) <= tolerance + _ROUNDING * (tolerance > 0)  # type: ignore[operator]  # numbers
    return type(was) is type(now) and was == now


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _presence(was: bool) -> tuple[str | None, str | None]:
    return ("there", None) if was else (None, "there")
