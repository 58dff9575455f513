"""The JSON of the HTTP API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.results import DropReason
from streamapp.sources.base import SourceState


class StreamRequest(BaseModel):
    """A stream to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "door", "source": "rtsp://camera.lan/live"}, {"name": "demo", "source": "demo"}]
        },
    )

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$", description="Letters, digits, - and _.")]
    source: Annotated[str, Field(min_length=1, max_length=2048, description="rtsp://…, rtsps://…, demo, or file:NAME.")]
    mode: Mode | None = Field(None, description="How deep to analyse; unset: the server's default.")


class StreamInfo(BaseModel):
    """A stream as it is now. Addresses are shown without credentials."""

    name: str
    source: str
    mode: Mode
    state: SourceState
    code: str | None = Field(description="Why it is not live, as a stable code.")
    reason: str | None = Field(description="Why it is not live, in words.")
    since: float = Field(description="Unix time in seconds since which it is in this state.")
    attempt: int = Field(description="Tries since it was last live.")
    retry_in_s: float | None = Field(description="Seconds until the next try, as of the beginning of this state.")
    fps: float = Field(description="Results per second.")
    frames: int = Field(description="Results so far.")
    faces: int = Field(description="Tracks in the newest result.")
    width: int | None
    height: int | None
    dropped: dict[DropReason, int]
    sinks: int = Field(description="Viewers and recorders that read this stream's results.")

    @classmethod
    def of(cls, session: StreamSession) -> StreamInfo:
        status, latest = session.status, session.latest
        return cls(
            name=session.name,
            source=session.description,
            mode=session.mode,
            state=status.state,
            code=status.code,
            reason=status.reason,
            since=status.since,
            attempt=status.attempt,
            retry_in_s=status.retry_in_s,
            fps=round(session.fps, 1),
            frames=session.frames,
            faces=len(latest.result.tracks) if latest else 0,
            width=latest.result.width if latest else None,
            height=latest.result.height if latest else None,
            dropped=dict(session.dropped),
            sinks=len(session.sinks),
        )


class Problem(BaseModel):
    """Every error, as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="Always about:blank: `code` says more.")
    title: str
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="What is wrong and what to do, for people.")


class ServiceHealth(BaseModel):
    """One model system."""

    status: str = Field(description="healthy or unhealthy")
    model_loaded: bool
    model: str | None = Field(description="The variant in use.")
    provider: str = Field(description="Where it runs; MediaPipe and LiteRT run on the CPU.")
    memory_mb: float | None = Field(description="Resident memory of the whole process: there is one process.")
    licence: str | None
    detail: str | None = Field(description="What is wrong and the command that mends it.")


class Health(BaseModel):
    """The process is alive, and how its services are."""

    status: str = "alive"
    version: str
    uptime_s: float
    services: dict[str, ServiceHealth]


class Readiness(BaseModel):
    ready: bool
    missing: list[str] = Field(description="What is missing and the command that mends it.")


class ServiceCounts(BaseModel):
    total: int
    healthy: int
    unhealthy: int


class Status(BaseModel):
    overall_status: str = Field(description="healthy or degraded")
    services: ServiceCounts
    gpu: str | None = Field(description="The GPU in use; null: none is used.")
    streams: list[StreamInfo]
