"""On which device a job runs: where its result is expected first, loading included. Pure; it does not matter whether a
device is in this process or on another machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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


COPY_WORTH = 2.0
"""A model is loaded on a further device once copies would have saved so many times what loading it takes."""
HALF_LIFE_S = 10.0
"""How fast what a copy would have saved is forgotten."""


class CopyRules:
    """Which models are worth a copy on a further device. By itself a job that waits would go where the model is not as
    soon as loading it there is the shorter wait: at every burst models would be loaded anew. So what is saved is summed
    up until it pays for the load (as in the ski-rental problem); then that job goes there, and the sum begins anew."""

    def __init__(self) -> None:
        self._saved: dict[str, tuple[float, float]] = {}
        """Seconds, and when they were summed up, by operation."""

    def choose(self, operation: str, need: Need, devices: Sequence[DeviceView], now_s: float) -> str | None:
        """As `place`, but on a device that has the models already, if there is one, unless a copy is worth it."""
        best = place(need, devices)
        holders = [device for device in devices if need.variants.keys() <= set(device.resident)]
        kept = place(need, holders)
        if best is None or kept is None or best == kept or best in {device.name for device in holders}:
            return best
        delays_s = {device.name: expected_s(need, device) or 0.0 for device in devices}
        saved_s, since_s = self._saved.get(operation, (0.0, now_s))
        saved_s = saved_s * 0.5 ** ((now_s - since_s) / HALF_LIFE_S) + delays_s[kept] - delays_s[best]
        load_s = sum(cost.load_s for cost in need.variants.values())
        if saved_s < COPY_WORTH * load_s:
            self._saved[operation] = saved_s, now_s
            return kept
        self._saved.pop(operation, None)
        return best
