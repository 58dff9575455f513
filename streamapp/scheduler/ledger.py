"""Who has how much of the budget. Pure: it is told what the device shows, and what is loaded and freed.

    ceiling = min(configured, total - what others use)
    budget  = ceiling - max(reserve, what we use beyond what is in these books)

Nothing is admitted that is not within the budget together with all that is there. Only two things can put the books
over it afterwards: a measurement larger than its estimate, and others who take memory. `overrun_bytes` says by how
much, and evicting so much is what its owner does next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from streamapp.errors import ModelError, OverBudget
from streamapp.scheduler.device_memory import MemoryUse


@dataclass(frozen=True, slots=True)
class Holding:
    """What one loaded variant takes."""

    weights_bytes: int
    arena_bytes: int = 0
    """What it needs beside its weights to run one item: packed copies, activations."""
    workspace_bytes: int = 0
    """What the larger batches need on top."""
    loading_bytes: int = 0
    """What loading needs for a while."""

    @property
    def resident_bytes(self) -> int:
        return self.weights_bytes + self.arena_bytes + self.workspace_bytes

    @property
    def total_bytes(self) -> int:
        return self.resident_bytes + self.loading_bytes

    def loaded(self) -> Holding:
        return replace(self, loading_bytes=0)


class Ledger:
    """The books of one device."""

    def __init__(self, *, configured_bytes: int | None, reserve_bytes: int) -> None:
        self.reserve_bytes = reserve_bytes
        self.context_bytes = 0
        """What the runtimes have taken for themselves; for their user to set."""
        self._configured_bytes = configured_bytes
        self._holdings: dict[str, Holding] = {}
        self._use = MemoryUse(0, 0, 0)
        self._others_bytes = 0
        self._unaccounted_bytes = 0

    # -- what the device shows -----------------------------------------------------------------------------------------

    def observe(self, use: MemoryUse) -> None:
        """Takes in a reading made while nothing was being loaded or freed."""
        ours = self.committed_bytes if use.ours_bytes is None else use.ours_bytes
        self._use = use
        self._others_bytes = max(0, use.used_bytes - ours)
        self._unaccounted_bytes = max(0, ours - self.committed_bytes)

    @property
    def total_bytes(self) -> int:
        return self._use.total_bytes

    @property
    def others_bytes(self) -> int:
        return self._others_bytes

    @property
    def unaccounted_bytes(self) -> int:
        """What this process uses that no owner in these books stands for."""
        return self._unaccounted_bytes

    @property
    def ceiling_bytes(self) -> int:
        """What this process may use."""
        return max(0, min(self._limit(), self._use.total_bytes - self._others_bytes))

    @property
    def budget_bytes(self) -> int:
        """What the owners in these books may have, the context included."""
        return max(0, self.ceiling_bytes - max(self.reserve_bytes, self._unaccounted_bytes))

    @property
    def best_budget_bytes(self) -> int:
        """What the budget would be with nobody else on the device."""
        return max(0, self._limit() - self.reserve_bytes)

    def _limit(self) -> int:
        total = self._use.total_bytes
        return total if self._configured_bytes is None else min(self._configured_bytes, total)

    # -- the books -----------------------------------------------------------------------------------------------------

    @property
    def holdings(self) -> Mapping[str, Holding]:
        return MappingProxyType(self._holdings)

    @property
    def committed_bytes(self) -> int:
        return self.context_bytes + sum(holding.total_bytes for holding in self._holdings.values())

    @property
    def free_bytes(self) -> int:
        return max(0, self.budget_bytes - self.committed_bytes)

    @property
    def overrun_bytes(self) -> int:
        return max(0, self.committed_bytes - self.budget_bytes)

    def admit(self, variant: str, holding: Holding) -> None:
        """Enters a variant that is about to be loaded. Raises OverBudget."""
        if variant in self._holdings:
            raise ModelError(f"{variant} is in the books already")
        needed = holding.total_bytes
        if needed > self.free_bytes:
            raise OverBudget(f"{variant} needs {megabytes(needed)}, {megabytes(self.free_bytes)} are free")
        self._holdings[variant] = holding

    def replace(self, variant: str, holding: Holding) -> None:
        """Enters what a variant was found to take in place of what it was thought to."""
        if variant not in self._holdings:
            raise ModelError(f"{variant} is not in the books")
        self._holdings[variant] = holding

    def release(self, variant: str) -> None:
        """Strikes out a variant whose memory the device has back."""
        if self._holdings.pop(variant, None) is None:
            raise ModelError(f"{variant} is not in the books")


def megabytes(size_bytes: int) -> str:
    """For messages: MB of a million bytes."""
    return f"{size_bytes / 1e6:.0f} MB"
