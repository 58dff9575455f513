"""Files of results to compare with: goldens, written here; sidecars of recordings; what `run --json` wrote.

JSON Lines. A golden begins with `{"golden": {...}}`, a sidecar with `{"recording": {...}}`, the third with no header;
then one result per line. A golden has decisions only: what a clock measured is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from streamapp.errors import UsageError
from streamapp.faces import Mode
from streamapp.replay.conditions import Conditions
from streamapp.replay.differences import MEASURED, decision
from streamapp.results import FrameResult

_CHUNK_BYTES = 1 << 20
_NOT_MEASURED = {"stream": "", "captured_at": 0.0, "timing_ms": {}, "dropped": {}}
assert set(_NOT_MEASURED) == set(MEASURED)


class GoldenHeader(Conditions):
    """The first line of a golden."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    clip: str
    """The file's name, for people."""
    clip_sha256: str
    scheduled: bool
    """Whether a session was repeated by its schedule; else the policy decided."""


class _FirstLine(BaseModel):
    golden: GoldenHeader | None = None
    recording: Conditions | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What was decided once. `conditions`: None where the file does not say."""

    name: str
    results: tuple[FrameResult, ...]
    conditions: Conditions | None
    clip_sha256: str | None
    is_live: bool
    """Whether frames were left out or answers came in late: then it can only be repeated by its schedule."""

    @property
    def mode(self) -> Mode:
        return self.results[0].mode


def read_record(path: Path) -> Record:
    """Raises UsageError, naming the line, for a file that is none of the three."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()  # a recording was cut off in the middle of it
    header = _header(path, lines[0]) if lines else _FirstLine()
    first = 0 if header.golden is None and header.recording is None else 1
    results = tuple(_result(path, number, line) for number, line in enumerate(lines[first:], first + 1))
    if not results:
        raise UsageError(f"{path} has no results")
    for before, after in pairwise(results):
        if not (after.frame > before.frame and after.pts_s > before.pts_s and after.mode is before.mode):
            raise UsageError(f"{path}: frame {after.frame} does not follow frame {before.frame} of the same session")
    golden = header.golden
    return Record(
        name=str(path),
        results=results,
        conditions=golden or header.recording,
        clip_sha256=None if golden is None else golden.clip_sha256,
        is_live=golden.scheduled if golden is not None else header.recording is not None or not _is_lossless(results),
    )


def write_golden(path: Path, header: GoldenHeader, results: Sequence[FrameResult]) -> None:
    """Replaces the file in one step. Raises UsageError where it cannot be written."""
    told = json.dumps({"golden": header.model_dump(mode="json")}, ensure_ascii=False)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text("\n".join([told, *map(decision, results)]) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """The SHA-256 of a file. Raises UsageError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _header(path: Path, line: bytes) -> _FirstLine:
    try:
        return _FirstLine.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{path} does not begin like a file of results: {where} {problem['msg']}") from error


def _result(path: Path, number: int, line: bytes) -> FrameResult:
    try:
        told = json.loads(line)
        if not isinstance(told, dict):
            raise TypeError("not an object")
        return FrameResult.from_json(json.dumps(_NOT_MEASURED | told))
    except (ValueError, TypeError) as error:
        reason = "; ".join(str(error).splitlines()[:3])
        raise UsageError(f"{path} has no result in line {number}: {reason}") from error


def _is_lossless(results: Sequence[FrameResult]) -> bool:
    """Whether no frame is missing and every keyframe was waited for."""
    whole = [result.frame for result in results] == list(range(len(results)))
    return whole and all(
        {answered.frame for answered in result.answers} == ({result.frame} if result.keyframe else set())
        for result in results
    )
