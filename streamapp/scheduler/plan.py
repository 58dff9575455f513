"""What of a profile stays in memory, what swaps and what cannot run, before anything is loaded. Pure.

First comes what every keyframe needs, then what matters most. A model stays resident if beside all that stay there is
room for the largest of those that do not: they take turns in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from streamapp.choices import Profile
from streamapp.scheduler.costs import Cost, CostSource
from streamapp.scheduler.ledger import megabytes
from streamapp.zoo.buckets import buckets_on
from streamapp.zoo.manifest import Manifest
from streamapp.zoo.profiles import choose
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task, Variant

TASK_WEIGHTS: Mapping[Task, float] = {
    Task.SCREEN: 16,
    Task.DETECT: 8,
    Task.REFINE: 8,
    Task.LANDMARK: 8,
    Task.ANTISPOOF: 4,
    Task.GENDER_AGE: 2,
    Task.RECOGNISE: 2,
    Task.PROPOSE: 1,
    Task.DEEPFAKE: 1,
}
"""How much a model of a task matters: detectors run on every keyframe, MTCNN's pyramid on pictures only."""


class Fate(StrEnum):
    RESIDENT = "resident"
    SWAPS = "swaps"
    """Loaded when it is wanted, in room it shares with others."""
    CANNOT_RUN = "cannot run"


@dataclass(frozen=True, slots=True)
class Placement:
    """What becomes of one variant."""

    variant: str
    task: Task
    fate: Fate
    resident_bytes: int
    loading_bytes: int
    """What loading takes beside it."""
    source: CostSource
    """Where the numbers come from."""
    licence: str
    """Of the weights; empty: not known."""

    @property
    def peak_bytes(self) -> int:
        return self.resident_bytes + self.loading_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a profile in a budget."""

    profile: Profile
    device: Device
    budget_bytes: int
    reserve_bytes: int
    context_bytes: int
    largest_batch: int
    """Models are run with batches up to this."""
    placements: tuple[Placement, ...]
    """The most important first."""

    def of_fate(self, fate: Fate) -> tuple[Placement, ...]:
        return tuple(placement for placement in self.placements if placement.fate is fate)

    @property
    def resident_bytes(self) -> int:
        return sum(placement.resident_bytes for placement in self.of_fate(Fate.RESIDENT))

    @property
    def swap_bytes(self) -> int:
        """Room kept for what swaps, and for loading anything at all."""
        swapping = max((placement.peak_bytes for placement in self.of_fate(Fate.SWAPS)), default=0)
        return max(swapping, max((placement.loading_bytes for placement in self.of_fate(Fate.RESIDENT)), default=0))

    @property
    def needed_bytes(self) -> int:
        """What this plan takes of the budget at most."""
        return self.reserve_bytes + self.context_bytes + self.resident_bytes + self.swap_bytes

    @property
    def everything_bytes(self) -> int:
        """The budget in which the whole profile would stay resident, with this plan's batches."""
        held = sum(placement.resident_bytes for placement in self.placements)
        loading = max((placement.loading_bytes for placement in self.placements), default=0)
        return self.reserve_bytes + self.context_bytes + held + loading

    @property
    def tasks_without_model(self) -> tuple[Task, ...]:
        """What the profile is to do, and nothing can that fits."""
        able = {placement.task for placement in self.placements if placement.fate is not Fate.CANNOT_RUN}
        return tuple(dict.fromkeys(p.task for p in self.placements if p.task not in able))

    @property
    def lacks(self) -> str | None:
        """Why the profile cannot run in this budget, if so."""
        if not self.tasks_without_model:
            return None
        return (
            f"profile {self.profile} cannot run in {megabytes(self.budget_bytes)}: no room for any model for "
            f"{', '.join(self.tasks_without_model)}"
        )


def make_plan(
    variants: Sequence[Variant],
    cost: Callable[[str, int], Cost],
    *,
    profile: Profile,
    device: Device,
    budget_bytes: int,
    reserve_bytes: int,
    context_bytes: int,
) -> Plan:
    """With the largest batches that keep no model out which smaller ones would let stay."""
    plans = [
        Plan(
            profile,
            device,
            budget_bytes,
            reserve_bytes,
            context_bytes,
            largest,
            _placements(variants, cost, largest, budget_bytes - reserve_bytes - context_bytes),
        )
        for largest in reversed(buckets_on(device))
    ]
    return max(plans, key=lambda plan: (-len(plan.of_fate(Fate.CANNOT_RUN)), len(plan.of_fate(Fate.RESIDENT))))


def _placements(
    variants: Sequence[Variant], cost: Callable[[str, int], Cost], largest: int, room: int
) -> tuple[Placement, ...]:
    found = []
    for variant in variants:
        known = cost(variant.name, largest)
        holding = known.holding
        fits = holding.total_bytes <= room
        fate = Fate.SWAPS if fits else Fate.CANNOT_RUN
        found.append(
            Placement(
                variant.name,
                variant.task,
                fate,
                holding.resident_bytes,
                holding.loading_bytes,
                known.source,
                variant.licence,
            )
        )
    order = sorted(found, key=lambda p: (-TASK_WEIGHTS[p.task], p.resident_bytes, p.variant))
    resident: set[str] = set()
    for placement in order:
        if placement.fate is not Fate.CANNOT_RUN and _fit(order, resident | {placement.variant}, room):
            resident.add(placement.variant)
    return tuple(replace(p, fate=Fate.RESIDENT) if p.variant in resident else p for p in order)


def _fit(placements: Sequence[Placement], resident: set[str], room: int) -> bool:
    """Whether these can stay, with room for each of the others in turn."""
    held = sum(p.resident_bytes for p in placements if p.variant in resident)
    swapping = [p.peak_bytes for p in placements if p.variant not in resident and p.fate is not Fate.CANNOT_RUN]
    loading = [p.loading_bytes for p in placements if p.variant in resident]
    return held + max([0, *swapping, *loading]) <= room


def variants_of(
    profile: Profile, manifest: Manifest, device: Device, is_installed: Callable[[Variant], bool]
) -> tuple[Variant, ...]:
    """The variants a profile would use that take memory of a device: what is installed, else what should be."""
    chosen = []
    for choice in choose(profile, manifest, device, is_installed):
        wanted = choice.variant
        if wanted is None and not choice.slot.optional:
            wanted = manifest.named(choice.slot.variants[0])
        on_host = device is not Device.CPU and choice.slot.task is Task.SCREEN  # frames are screened on the processor
        if wanted is not None and wanted.task in TASK_WEIGHTS and not on_host:
            chosen.append(wanted)
    return tuple(chosen)
