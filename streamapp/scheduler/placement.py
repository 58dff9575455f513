"""On which device a job runs: where its result is expected first, loading included. Pure; it does not matter whether a
device is in this process or on another machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VariantCost:
    """What having a variant in memory takes."""

    bytes: int
    load_s: float


@dataclass(frozen=True, slots=True)
class Need:
    """What a job asks of a device."""

    variants: Mapping[str, VariantCost]
    run_s: float
    """How long it is expected to run."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as it was seen last."""

    name: str
    resident: Collection[str]
    """Variants in its memory."""
    queue_delay_s: float
    """How long a job waits there before it is run."""
    free_bytes: int
    evictable_bytes: int
    """Taken by models that nobody uses now."""
    healthy: bool = True


def expected_s(need: Need, device: DeviceView) -> float | None:
    """Until the result, from now; None if the job cannot run there. What must be evicted for it is counted as if it
    were loaded again: somebody wanted it."""
    if not device.healthy:
        return None
    missing = [cost for name, cost in need.variants.items() if name not in device.resident]
    missing_bytes = sum(cost.bytes for cost in missing)
    load_s = sum(cost.load_s for cost in missing)
    needed = {name for name in need.variants if name in device.resident}
    kept_bytes = sum(need.variants[name].bytes for name in needed)
    if missing_bytes > device.free_bytes + max(0, device.evictable_bytes - kept_bytes):
        return None
    if missing_bytes > device.free_bytes:
        load_s *= 2
    return device.queue_delay_s + load_s + need.run_s


def place(need: Need, devices: Iterable[DeviceView]) -> str | None:
    """The name of the best device; None if there is none that can run it. Equally good ones: the one with most free
    memory, then by name."""
    fit = [(delay_s, device) for device in devices if (delay_s := expected_s(need, device)) is not None]
    if not fit:
        return None
    return min(fit, key=lambda found: (found[0], -found[1].free_bytes, found[1].name))[1].name
