"""What is in memory, as it is shown: in /status, in metrics and in `plan --live`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streamapp.scheduler.costs import CostSource
from streamapp.scheduler.ledger import Holding


class EvictionReason(StrEnum):
    """Why a model was unloaded."""

    ROOM = "room"
    """Another one needed its memory."""
    IDLE = "idle"
    """Nobody used it for long."""
    SHRUNK = "shrunk"
    """The budget became smaller, or a model larger than it was thought to be."""
    OUT_OF_MEMORY = "out_of_memory"
    REGROWN = "regrown"
    """It was loaded with its smallest batch only, and there is room for more."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ResidentModel:
    """A model in memory."""

    variant: str
    holding: Holding
    source: CostSource
    """Where the numbers of `holding` come from."""
    provider: str
    buckets: tuple[int, ...]
    """The batch sizes it is run with."""
    leases: int
    pinned: bool
    resident_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class DegradedModel:
    """A model there is no memory for, or not enough."""

    variant: str
    reason: str
    left_out: bool
    """Not run at all; else with its smallest batch only."""
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class ResidencySnapshot:
    """Everything there is to know at one moment. The budget is for the context and the resident models; all else this
    process uses is `unaccounted_bytes`."""

    device: str
    lost: str | None
    """Why the device cannot be asked, if so: nothing is loaded then."""
    total_bytes: int
    others_bytes: int
    reserve_bytes: int
    unaccounted_bytes: int
    budget_bytes: int
    committed_bytes: int
    context_bytes: int
    resident: tuple[ResidentModel, ...]
    degraded: tuple[DegradedModel, ...]
    changing: str | None
    """What is being loaded or unloaded."""
    waiting: int
    """Requests for a lease."""
    loads: int
    load_failures: int
    evictions: Mapping[EvictionReason, int]

    @property
    def bytes_by_owner(self) -> Mapping[str, int]:
        """Every byte of this process's share, by who has it."""
        owners = {"context": self.context_bytes, "unaccounted": self.unaccounted_bytes}
        for model in self.resident:
            owners[f"{model.variant}/weights"] = model.holding.weights_bytes
            owners[f"{model.variant}/arena"] = model.holding.arena_bytes
            owners[f"{model.variant}/workspace"] = model.holding.workspace_bytes
        return owners
