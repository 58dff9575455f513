"""What is in memory, as it is shown: in /status, in metrics and in `plan --live`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    parts: tuple[ResidencySnapshot, ...] = ()
    """Each of several devices that this is the sum of."""

    @property
    def bytes_by_owner(self) -> Mapping[str, int]:
        """Every byte of this process's share, by who has it."""
        owners = {"context": self.context_bytes, "unaccounted": self.unaccounted_bytes}
        for model in self.resident:
            holding = model.holding
            parts = {
                "weights": holding.weights_bytes,
                "arena": holding.arena_bytes,
                "workspace": holding.workspace_bytes,
            }
            for part, size in parts.items():  # on several devices a model is there several times
                owner = f"{model.variant}/{part}"
                owners[owner] = owners.get(owner, 0) + size
        return owners


def lost_snapshot(last: ResidencySnapshot, why: str) -> ResidencySnapshot:
    """The device, or the process that has it, is gone: nothing is in memory any more."""
    return replace(last, lost=why, committed_bytes=0, context_bytes=0, unaccounted_bytes=0, resident=(), changing=None)


def merged_snapshots(snapshots: Sequence[ResidencySnapshot]) -> ResidencySnapshot:
    """Several devices as one. It is lost only if all are."""
    lost = [snapshot.lost for snapshot in snapshots if snapshot.lost is not None]
    changing = [snapshot.changing for snapshot in snapshots if snapshot.changing is not None]
    return ResidencySnapshot(
        device=" + ".join(snapshot.device for snapshot in snapshots),
        lost=("; ".join(lost) or "no device has answered yet") if len(lost) == len(snapshots) else None,
        total_bytes=sum(snapshot.total_bytes for snapshot in snapshots),
        others_bytes=sum(snapshot.others_bytes for snapshot in snapshots),
        reserve_bytes=sum(snapshot.reserve_bytes for snapshot in snapshots),
        unaccounted_bytes=sum(snapshot.unaccounted_bytes for snapshot in snapshots),
        budget_bytes=sum(snapshot.budget_bytes for snapshot in snapshots),
        committed_bytes=sum(snapshot.committed_bytes for snapshot in snapshots),
        context_bytes=sum(snapshot.context_bytes for snapshot in snapshots),
        resident=tuple(model for snapshot in snapshots for model in snapshot.resident),
        degraded=tuple(model for snapshot in snapshots for model in snapshot.degraded),
        changing="; ".join(changing) or None,
        waiting=sum(snapshot.waiting for snapshot in snapshots),
        loads=sum(snapshot.loads for snapshot in snapshots),
        load_failures=sum(snapshot.load_failures for snapshot in snapshots),
        evictions=dict(sum((Counter(snapshot.evictions) for snapshot in snapshots), Counter())),
        parts=tuple(snapshots),
    )
