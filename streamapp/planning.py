"""What of a profile fits in how much memory, before anything is loaded: for the command line and for the page."""

from __future__ import annotations

from dataclasses import dataclass

from streamapp.choices import DeviceChoice, Profile
from streamapp.errors import DeviceLost
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import (
    HostMemory,
    NvidiaMemory,
    open_device_memory,
    resolve_device,
    runtime_version,
)
from streamapp.scheduler.plan import Plan, make_plan, variants_of
from streamapp.settings import Settings
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device

_MB = 1_000_000
SEPARATE_SERVICES_MB, THEIR_CARD_MB = 6084, 6000
"""Seven model services, one container each: what their memory limits add up to, and the card they share. Only the sum
is on record."""


@dataclass(frozen=True, slots=True)
class SeparateServices:
    """What is compared with."""

    services: int
    limits_mb: int
    card_mb: int


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan and what it adds up to, in bytes of memory."""

    plan: Plan
    resident_bytes: int
    swap_bytes: int
    needed_bytes: int
    everything_resident_bytes: int
    lacks: str | None
    separate_services: SeparateServices


def plan_of(
    settings: Settings,
    *,
    budget_mb: int | None = None,
    profile: Profile | None = None,
    device: DeviceChoice | None = None,
) -> Plan:
    """Raises ManifestInvalid, ModelInvalid, DeviceLost where the budget is to be all that a GPU has."""
    chosen = settings.scheduler
    on = resolve_device(device or chosen.device, chosen.gpus[0])
    profile = profile or settings.models.profile
    registry = Registry.from_settings(settings)
    kind: type[HostMemory] | type[NvidiaMemory] = NvidiaMemory if on is Device.CUDA else HostMemory
    budget_mb = budget_mb or chosen.budget_mb
    try:
        memory = open_device_memory(on, chosen.gpus[0])
        name, total_bytes = memory.name, memory.read().total_bytes
    except DeviceLost:
        if budget_mb is None:
            raise
        name, total_bytes = "", budget_mb * _MB  # a plan for a machine that is elsewhere
    costs = CostBook.of_registry(registry, device=name, load_overhead=kind.load_overhead, runtime=runtime_version())
    return make_plan(
        variants_of(profile, registry.manifest, on, registry.is_installed),
        costs.cost,
        profile=profile,
        device=on,
        budget_bytes=total_bytes if budget_mb is None else budget_mb * _MB,
        reserve_bytes=chosen.reserve_mb * _MB,
        context_bytes=kind.context_bytes,
    )


def report_of(found: Plan) -> PlanReport:
    return PlanReport(
        plan=found,
        resident_bytes=found.resident_bytes,
        swap_bytes=found.swap_bytes,
        needed_bytes=found.needed_bytes,
        everything_resident_bytes=found.everything_bytes,
        lacks=found.lacks,
        separate_services=SeparateServices(7, SEPARATE_SERVICES_MB, THEIR_CARD_MB),
    )
