"""The JSON of the HTTP API."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from streamapp.events.watcher import StreamWatcher
from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.results import DropReason
from streamapp.sources.base import SourceState

StreamName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$", description="Letters, digits, - and _.")]
SourceText = Annotated[
    str, Field(min_length=1, max_length=2048, description="rtsp://…, rtsps://…, demo, or file:NAME.")
]


class StreamRequest(BaseModel):
    """A stream to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "door", "source": "rtsp://camera.lan/live"}, {"name": "demo", "source": "demo"}]
        },
    )

    name: StreamName
    source: SourceText
    mode: Mode | None = Field(None, description="How deep to analyse; unset: the server's default.")
    privacy: bool = Field(
        False, description="Blur who is not enrolled in every picture of it; also if not asked for where that is set."
    )
    record: bool = Field(False, description="Record it from its first picture on, so that it can be replayed exactly.")


class StreamRecording(BaseModel):
    """A stream's recording: on, or ended because it could not go on."""

    id: UUID
    since: float = Field(description="Unix time in seconds.")
    bytes: int
    seconds: float = Field(description="Of video written; 0 until the first I-frame.")
    state: RecordingState
    reason: str | None

    @classmethod
    def of(cls, entry: RecordingEntry) -> StreamRecording:
        return cls(
            id=entry.id,
            since=entry.started_at,
            bytes=entry.bytes,
            seconds=round(entry.seconds, 1),
            state=entry.state,
            reason=entry.reason,
        )


class RecordingList(BaseModel):
    """One page of the recordings, newest first."""

    recordings: list[RecordingEntry]
    total: int = Field(description="Of all pages.")
    bytes: int = Field(description="Of all pages.")


class StreamInfo(BaseModel):
    """A stream as it is now. Addresses are shown without credentials."""

    name: str
    source: str
    added: bool = Field(description="Whether it was added by name and can be changed, or is a browser's camera.")
    mode: Mode
    privacy: bool = Field(description="Whether people who are not enrolled are blurred in every picture of it.")
    state: SourceState
    code: str | None = Field(description="Why it is not live, as a stable code.")
    reason: str | None = Field(description="Why it is not live, in words.")
    since: float = Field(description="Unix time in seconds since which it is in this state.")
    attempt: int = Field(description="Tries since it was last live.")
    retry_in_s: float | None = Field(description="Seconds until the next try, as of the beginning of this state.")
    fps: float = Field(description="Results per second.")
    frames: int = Field(description="Results so far.")
    faces: int = Field(description="Tracks in the newest result.")
    latency_ms: float | None = Field(description="From the arrival of the newest picture to its result, in the server.")
    width: int | None
    height: int | None
    dropped: dict[DropReason, int] = Field(description="Frames that gave no result, by reason.")
    jobs_dropped: dict[DropReason, int] = Field(description="Jobs of its keyframes that were not done, by reason.")
    sinks: int = Field(description="Viewers and recorders that read this stream's results.")
    keyframes: dict[str, int] = Field(description="Frames escalated to the models, by reason.")
    recording: StreamRecording | None

    @classmethod
    def of(cls, session: StreamSession, recording: RecordingEntry | None) -> StreamInfo:
        status, latest = session.status, session.latest
        return cls(
            name=session.name,
            source=session.description,
            added=session.added,
            mode=session.mode,
            privacy=session.private,
            state=status.state,
            code=status.code,
            reason=status.reason,
            since=status.since,
            attempt=status.attempt,
            retry_in_s=status.retry_in_s,
            fps=round(session.fps, 1),
            frames=session.frames,
            faces=len(latest.result.tracks) if latest else 0,
            latency_ms=round(latest.result.timing_ms["total"], 1) if latest else None,
            width=latest.result.width if latest else None,
            height=latest.result.height if latest else None,
            dropped=dict(session.dropped),
            jobs_dropped=dict(session.escalator.jobs_dropped) if session.escalator else {},
            sinks=sum(not isinstance(attachment.sink, StreamWatcher) for attachment in session.sinks),
            keyframes=dict(session.escalator.keyframes) if session.escalator else {},
            recording=None if recording is None else StreamRecording.of(recording),
        )


class Problem(BaseModel):
    """Every error, as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="Always about:blank: `code` says more.")
    title: str
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="What is wrong and what to do, for people.")
