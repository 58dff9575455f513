"""The JSON of the HTTP API."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from streamapp.choices import EventKind
from streamapp.events.event_log import EventLogState
from streamapp.events.target import Outcome, TargetState
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


HEALTHY, UNHEALTHY = "healthy", "unhealthy"


class Problem(BaseModel):
    """Every error, as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="Always about:blank: `code` says more.")
    title: str
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="What is wrong and what to do, for people.")


class ServiceHealth(BaseModel):
    """One model system."""

    status: str = Field(description="healthy or unhealthy: unhealthy is also what is not installed")
    model_loaded: bool
    model: str | None = Field(description="The variants in use.")
    provider: str = Field(description="What the loaded sessions say runs them; MediaPipe and LiteRT run on the CPU.")
    memory_mb: float | None = Field(
        description="What the loaded models take; for mediapipe, which is part of every stream, the whole process."
    )
    licence: str | None
    detail: str | None = Field(description="What is wrong and the command that mends it.")
    optional: bool = Field(False, description="Whether the profile does without.")


class Liveness(BaseModel):
    """The process is alive."""

    status: str = "alive"


class Health(Liveness):
    """The process is alive, and how its services are."""

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


class ResidentState(BaseModel):
    """A model in memory."""

    variant: str
    mb: float
    measured: bool = Field(description="Whether its size was measured on this device, or is an estimate.")
    provider: str
    batches: list[int] = Field(description="The batch sizes it is run with.")
    leases: int
    idle_s: float
    licence: str = Field(description="Of the weights.")


class MemoryState(BaseModel):
    """Whose every megabyte is."""

    device: str
    total_mb: float
    others_mb: float = Field(description="What other processes use.")
    reserve_mb: float
    budget_mb: float = Field(description="What the models may take.")
    committed_mb: float
    by_owner_mb: dict[str, float]
    resident: list[ResidentState]
    degraded: dict[str, str] = Field(description="Models there is no or not enough memory for, and why.")
    loads: int
    evictions: dict[str, int]
    lost: str | None = Field(None, description="Why the device cannot be asked, if so: nothing is loaded then.")
    devices: list[MemoryState] = Field([], description="Where there are several: each; the rest is their sum.")


class ModelRunState(BaseModel):
    """One operation of the models so far."""

    done: int
    failed: int
    items: int = Field(description="Pictures and crops in the jobs that are done.")
    circuit: str = Field(description="closed, open (left alone after failures) or half_open")
    batch_ms: float | None = Field(description="Median of the last batches.")
    items_per_batch: float | None


class JobQueueState(BaseModel):
    """The jobs of all streams and clients."""

    queued: dict[str, int]
    oldest_s: dict[str, float]
    running: int
    lanes: int
    lanes_replaced: int = Field(description="How often a lane went on with a new thread because a call hung.")
    dropped: dict[str, int]
    operations: dict[str, ModelRunState]


class EventTargetState(BaseModel):
    """Somebody the events are sent to."""

    name: str
    state: TargetState
    error: str | None = Field(description="Why it is failing.")
    waiting: int
    retries: int
    outcomes: dict[Outcome, int]


class EventsState(BaseModel):
    """The events since the start."""

    by_kind: dict[EventKind, int]
    waiting: int = Field(description="Not on disk yet.")
    dropped: dict[DropReason, int] = Field(description="Not kept.")
    store_error: str | None = Field(description="Why events cannot be kept just now.")
    listeners: int = Field(description="Clients of /events/live.")
    targets: list[EventTargetState]

    @classmethod
    def of(cls, state: EventLogState) -> EventsState:
        return cls(
            by_kind=state.by_kind,
            waiting=state.waiting,
            dropped=state.dropped,
            store_error=state.store_error,
            listeners=state.listeners,
            targets=[
                EventTargetState(
                    name=target.name,
                    state=target.state,
                    error=target.error,
                    waiting=target.waiting,
                    retries=target.retries,
                    outcomes=target.outcomes,
                )
                for target in state.targets
            ],
        )


class MachineState(BaseModel):
    """A machine the app is at work on. What is counted is counted since the start of the processes that count."""

    name: str
    cores: int
    busy_cores: float = Field(description="Processor time over time, of all programs.")
    memory_mb: float
    used_mb: float = Field(description="By all programs.")
    devices: list[str] = Field(description="That run models, where there are several machines.")
    streams: list[str]
    workers: int = Field(description="Processes that own streams; 0: the server's own process does.")
    gallery_version: int | None = Field(
        description="Of the copy of the gallery that is searched there; null: faces are searched by the server."
    )
    analysed: int = Field(description="Pictures and crops that models were shown there, where there are several.")
    sent_mb: float = Field(description="To other machines: contents, without what the network adds.")
    received_mb: float


class Status(BaseModel):
    overall_status: str = Field(description="healthy or degraded")
    services: ServiceCounts
    gpu: str | None = Field(description="The GPU in use; null: none is used.")
    profile: str
    privacy: bool = Field(description="Whether who is not enrolled is blurred on every stream, whatever is asked for.")
    memory: MemoryState
    jobs: JobQueueState
    streams: list[StreamInfo]
    machines: list[MachineState]
    events: EventsState | None = Field(description="null: events are switched off.")
