"""What is written down of a recording: `recording.json` in its folder, and the first line of its sidecar."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from streamapp.faces import Mode

FORMAT = 1
ENTRY_FILE = "recording.json"
RESULTS_FILE = "results.jsonl"
PART_PATTERN = r"^video-[1-9][0-9]{0,5}\.(mp4|webm)$"


class RecordingState(StrEnum):
    RECORDING = "recording"
    COMPLETE = "complete"
    DISK_FULL = "disk_full"
    """It ended because the disk was full; what was written plays."""
    FAILED = "failed"


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoPart(_Written):
    """One video file of a recording. A picture at `t` in it is that of the results at `start_pts_s + t`."""

    file: Annotated[str, Field(pattern=PART_PATTERN)]
    codec: str = Field(description="FFmpeg's name: h264, hevc, vp8, vp9.")
    encoded: bool = Field(description="Whether this app coded it; else it is as the source sent it.")
    width: int
    height: int
    start_pts_s: float
    last_pts_s: float = Field(description="Of the picture shown last.")
    seconds: float
    pictures: int


class RecordingEntry(_Written):
    """A recording as its folder describes it."""

    format: Literal[1] = 1
    id: UUID
    stream: str
    source: str = Field(description="The source's address without secrets.")
    mode: Mode
    privacy: bool = Field(
        False, description="Whether faces in its video are blurred: it shows what viewers saw and cannot be replayed."
    )
    started_at: float = Field(description="Unix time in seconds.")
    ended_at: float | None = Field(None, description="null while it is being written.")
    state: RecordingState = RecordingState.RECORDING
    reason: str | None = Field(None, description="Why it ended, if nobody ended it.")
    parts: tuple[VideoPart, ...] = ()
    results: int = Field(0, description="Lines of results.")
    dropped: int = Field(0, description="Pictures and results that could not be written in time.")
    bytes: int = Field(0, description="Of all its files.")

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    def save(self, folder: Path) -> None:
        """Writes it in one step: a reader, or a kill, finds the old one or the new one. Raises OSError."""
        fresh = folder / f"{ENTRY_FILE}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.model_dump_json())
            file.flush()
            os.fsync(descriptor)
        fresh.rename(folder / ENTRY_FILE)

    @classmethod
    def load(cls, folder: Path) -> RecordingEntry:
        """Raises OSError, also for a symbolic link, and ValueError for anything else than what `save` wrote."""
        descriptor = os.open(folder / ENTRY_FILE, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            return cls.model_validate_json(file.read())


class ModelInUse(_Written):
    """A model that the results may come from."""

    task: str
    variant: str
    sha256: str | None
    runtime: str


class RecordingHeader(_Written):
    """The first line of a sidecar, under the key `recording`: what a replay needs to do the same again."""

    format: Literal[1] = 1
    id: UUID
    app_version: str
    stream: str
    source: str
    mode: Mode
    privacy: bool = False
    started_at: float
    codec: str = ""
    width: int = 0
    height: int = 0
    start_pts_s: float = 0.0
    models: tuple[ModelInUse, ...] = ()
    gallery_version: int | None = Field(None, description="Of the people known when it began; null: nobody is.")
    settings: dict[str, dict[str, str | int | float | bool | None]] = Field(
        default_factory=dict, description="Settings that change results, by section."
    )


class SidecarHead(_Written):
    """The first line itself."""

    recording: RecordingHeader
