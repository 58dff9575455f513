"""The JSON of how the server is: health, status, memory, work, machines."""

from __future__ import annotations

from pydantic import BaseModel, Field

from streamapp.choices import EventKind
from streamapp.events.event_log import EventLogState
from streamapp.events.target import Outcome, TargetState
from streamapp.results import DropReason
from streamapp.server.schemas import StreamInfo

HEALTHY, UNHEALTHY = "healthy", "unhealthy"


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
