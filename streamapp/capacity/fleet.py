"""How many machines a fleet of cameras needs, at what price, and what would break first. By simulation; streams stay
on one machine each, so machines do not wait for each other, and of many a sample stands for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from streamapp.capacity.simulation import MachineRun, Scenario, simulate
from streamapp.errors import UsageError
from streamapp.results import DropReason

MAX_FRAME_LOAD = 0.8
"""Of the cores, for decoding and screening: beyond, frames are late, not only analyses."""
MAX_NETWORK_LOAD = 0.8
MAX_QUEUE_AGE_S = 0.5
"""At p95."""
MAX_DROP_SHARE = 0.01
TRIALS = 2
"""Of a machine with other faces: it must hold in each."""
HOURS_A_MONTH = 730


class Limit(StrEnum):
    """What a machine runs out of."""

    CORES = "cores"
    """Decoding, screening and tracking of every frame."""
    NETWORK = "network"
    MEMORY = "memory"
    """Models evict each other, or there is no room for one."""
    DEVICE = "device time"
    """Jobs wait too long, or are dropped."""


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What so many cameras need. Queue age: the worst p95 of the machines that were simulated; the rest: over them, and
    scaled to all where they are a sample."""

    cameras: int
    machine: str
    lineup: str
    faces_per_s: float
    """New ones on each camera."""
    cameras_a_machine: int
    """At most, within all limits."""
    machines: int
    gpus: int
    simulated: int
    """Machines."""
    queue_age_p95_s: float
    submitted: int
    dropped: dict[DropReason, int]
    """Of the machines that were simulated."""
    drop_share: float
    analyses_per_s: float
    device_load: float
    frame_load: float
    breaks_first: Limit
    price_a_camera_month: float
    """At the prices assumed in the costs."""


def machine_limit(base: Scenario) -> tuple[int, Limit]:
    """The most cameras one machine holds, and what one more would exceed. Raises UsageError if it holds none."""
    low, high, reason = 0, 1, _exceeded(replace(base, cameras=1))
    while reason is None:
        low, high = high, 2 * high
        reason = _exceeded(replace(base, cameras=high))
    while high - low > 1:
        middle = (low + high) // 2
        exceeded = _exceeded(replace(base, cameras=middle))
        if exceeded is None:
            low = middle
        else:
            high, reason = middle, exceeded
    if low == 0:
        raise UsageError(f"a machine {base.machine.name} does not hold one such camera: {reason} is exceeded")
    return low, reason


def plan_fleets(base: Scenario, fleets: tuple[int, ...], sample: int) -> Iterator[FleetPlan]:
    """One plan for each number of cameras. sample: machines that are simulated at most. Raises UsageError."""
    most, reason = machine_limit(base)
    for cameras in fleets:
        machines = -(-cameras // most)
        count = min(machines, sample)
        runs = [
            simulate(replace(base, cameras=_share(cameras, machines, number), seed=f"{base.seed}/machine-{number}"))
            for number in range(count)
        ]
        yield _plan(base, cameras, machines, runs, most, reason)


def _plan(base: Scenario, cameras: int, machines: int, runs: list[MachineRun], most: int, reason: Limit) -> FleetPlan:
    dropped = Counter[DropReason]()
    for run in runs:
        dropped += run.dropped
    submitted, machine = sum(run.submitted for run in runs), base.machine
    return FleetPlan(
        cameras=cameras,
        machine=machine.name,
        lineup=base.lineup.name,
        faces_per_s=base.traffic.faces_per_s,
        cameras_a_machine=most,
        machines=machines,
        gpus=machines * machine.gpus,
        simulated=len(runs),
        queue_age_p95_s=max(run.queue_age_p95_s for run in runs),
        submitted=submitted,
        dropped=dict(dropped),
        drop_share=sum(dropped.values()) / max(1, submitted),
        analyses_per_s=sum(run.analyses_per_s for run in runs) * cameras / sum(run.cameras for run in runs),
        device_load=sum(run.device_load for run in runs) / len(runs),
        frame_load=sum(run.frame_load for run in runs) / len(runs),
        breaks_first=reason,
        price_a_camera_month=machines * machine.price_an_hour * HOURS_A_MONTH / cameras,
    )


def _share(cameras: int, machines: int, number: int) -> int:
    """Cameras on one of the machines, which share them evenly."""
    return cameras // machines + (number < cameras % machines)


def _exceeded(scenario: Scenario) -> Limit | None:
    """Which limit a machine with so many cameras exceeds."""
    stream, machine = scenario.costs.stream, scenario.machine
    if scenario.cameras * stream.core_share > MAX_FRAME_LOAD * machine.cores:
        return Limit.CORES
    if scenario.cameras * stream.network_mbit_s > MAX_NETWORK_LOAD * machine.network_mbit_s:
        return Limit.NETWORK
    for trial in range(TRIALS):
        run = simulate(replace(scenario, seed=f"{scenario.seed}/trial-{trial}"))
        if run.queue_age_p95_s > MAX_QUEUE_AGE_S or run.drop_share > MAX_DROP_SHARE:
            return Limit.MEMORY if run.loads or DropReason.NO_MEMORY in run.dropped else Limit.DEVICE
    return None
