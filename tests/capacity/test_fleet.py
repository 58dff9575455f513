"""How many machines a fleet needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("simpy")

from streamapp.capacity.camera import Traffic
from streamapp.capacity.costs import read_costs
from streamapp.capacity.fleet import MAX_DROP_SHARE, MAX_QUEUE_AGE_S, Limit, machine_limit, plan_fleets
from streamapp.capacity.simulation import Scenario, simulate
from streamapp.errors import UsageError

COSTS = read_costs()
QUIET = Scenario(COSTS, COSTS.machine_named("gpu"), COSTS.lineup_named("full"), 1, Traffic(0.05, 5.0), 15.0, "1")
BUSY = replace(QUIET, traffic=Traffic(2.0, 5.0))


def test_quiet_cameras_fill_the_cores_first_and_busy_ones_the_device() -> None:
    quiet, busy = machine_limit(QUIET), machine_limit(BUSY)
    assert quiet == (50, Limit.CORES), "0.8 of 16 cores, 0.256 of a core each"
    assert busy[1] is Limit.DEVICE
    assert busy[0] < quiet[0]


def test_a_slow_network_and_a_small_memory_are_named() -> None:
    slow = replace(QUIET, machine=replace(QUIET.machine, network_mbit_s=50.0))
    assert machine_limit(slow) == (13, Limit.NETWORK)
    device = replace(COSTS.device_of(QUIET.machine), memory_mb=1000.0)
    with pytest.raises(UsageError, match="memory is exceeded"):
        machine_limit(replace(BUSY, costs=replace(COSTS, device=(device,))))


def test_at_the_limit_the_goals_hold() -> None:
    most, _ = machine_limit(BUSY)
    run = simulate(replace(BUSY, cameras=most, seed=f"{BUSY.seed}/trial-0"))
    assert run.queue_age_p95_s <= MAX_QUEUE_AGE_S
    assert run.drop_share <= MAX_DROP_SHARE


def test_a_sample_stands_for_all_machines() -> None:
    small, large = plan_fleets(QUIET, (40, 100_000), sample=2)
    assert (small.machines, small.simulated, small.gpus) == (1, 1, 1)
    assert (large.machines, large.simulated, large.gpus) == (2000, 2, 2000)
    assert large.analyses_per_s == pytest.approx(2500 * small.analyses_per_s, rel=0.3)
    assert large.price_a_camera_month == pytest.approx(2000 * 1.00 * 730 / 100_000)


def test_all_cameras_are_on_some_machine() -> None:
    (plan,) = plan_fleets(QUIET, (101,), sample=10)
    assert plan.machines == plan.simulated == 3
    assert plan.frame_load == pytest.approx(101 * COSTS.stream.core_share / (3 * 16))
