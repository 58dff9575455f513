"""A machine in simulated time: every job ends once, the same seed gives the same day, and less is never better."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("simpy")

from streamapp.capacity.camera import Traffic
from streamapp.capacity.costs import read_costs
from streamapp.capacity.simulated_device import SimulatedDevice, SimulatedJob
from streamapp.capacity.simulation import MachineRun, Scenario, simulate
from streamapp.results import DropReason

COSTS = read_costs()
LIGHT_LOAD, OVERLOAD = 4, 60
SCENARIO = Scenario(
    COSTS, COSTS.machine_named("gpu"), COSTS.lineup_named("full"), OVERLOAD, Traffic(1.0, 6.0), 20.0, "1"
)


def scarce(memory_mb: float) -> Scenario:
    """A GPU with less memory, and little to do."""
    device = replace(COSTS.device_of(SCENARIO.machine), memory_mb=memory_mb)
    return replace(SCENARIO, costs=replace(COSTS, device=(device,)), cameras=LIGHT_LOAD)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[SimulatedJob]:
    """Every job that is submitted."""
    seen: list[SimulatedJob] = []
    submit = SimulatedDevice.submit

    def noting(device: SimulatedDevice, job: SimulatedJob) -> None:
        seen.append(job)
        submit(device, job)

    monkeypatch.setattr(SimulatedDevice, "submit", noting)
    return seen


@pytest.mark.parametrize(
    "scenario",
    [
        SCENARIO,
        replace(SCENARIO, cameras=LIGHT_LOAD),
        replace(SCENARIO, machine=COSTS.machine_named("gpu4")),
        replace(SCENARIO, machine=COSTS.machine_named("cpu"), lineup=COSTS.lineup_named("light")),
        replace(SCENARIO, queue_size=8),
        scarce(700.0),
        scarce(300.0),
    ],
    ids=["overload", "light load", "four GPUs", "cores", "short queue", "models take turns", "models do not fit"],
)
def test_every_job_ends_once(scenario: Scenario, jobs: list[SimulatedJob]) -> None:
    run = simulate(scenario)  # an event that is triggered twice is an error of simpy's
    ended = [job.ended.value for job in jobs if job.ended.triggered]
    assert run.submitted == len(jobs) > 0
    assert run.done == ended.count(None)
    assert sum(run.dropped.values()) == len(ended) - ended.count(None)
    assert run.in_hand == len(jobs) - len(ended) <= 8 * scenario.cameras
    assert all(job.ended.triggered for job in jobs if job.deadline_s < run.seconds - 6.0)


def test_the_same_seed_gives_the_same_run_and_another_one_does_not() -> None:
    assert simulate(SCENARIO) == simulate(SCENARIO)
    assert simulate(SCENARIO) != simulate(replace(SCENARIO, seed="2"))


def test_more_cameras_are_never_served_better() -> None:
    runs = [simulate(replace(SCENARIO, cameras=cameras)) for cameras in (5, 20, 80)]
    assert runs[0].queue_age_p95_s < runs[1].queue_age_p95_s < runs[2].queue_age_p95_s
    assert runs[0].drop_share == 0 < runs[2].drop_share
    assert runs[0].device_load < runs[1].device_load <= runs[2].device_load + 0.05


def test_faster_devices_and_more_of_them_do_more() -> None:
    kind = COSTS.device_of(SCENARIO.machine)
    faster = replace(SCENARIO, costs=replace(COSTS, device=(replace(kind, speed=2 * kind.speed),)))
    more = replace(SCENARIO, machine=replace(SCENARIO.machine, gpus=2))
    one = simulate(SCENARIO)
    for better in map(simulate, (faster, more)):
        assert better.analyses > one.analyses
        assert better.queue_age_p95_s < one.queue_age_p95_s
        assert better.drop_share < one.drop_share


def test_four_devices_with_little_memory_share_the_models_between_them() -> None:
    four = replace(scarce(1300.0), machine=COSTS.machine_named("gpu4"))
    one = simulate(replace(four, machine=replace(four.machine, gpus=1)))
    shared = simulate(four)
    assert one.loads > 2 * shared.loads, "each device keeps what it has, and is asked for that"
    assert shared.drop_share < one.drop_share


def test_models_that_fit_stay_and_others_take_turns_or_are_refused() -> None:
    assert _loads(simulate(scarce(6000.0))) == (0, 0)
    turns = simulate(scarce(700.0))
    assert turns.loads > 0 < turns.evictions
    assert simulate(scarce(300.0)).dropped[DropReason.NO_MEMORY] > 0


def test_a_streams_frames_slow_the_models_that_share_its_cores() -> None:
    machine = COSTS.machine_named("cpu")
    light = replace(SCENARIO, machine=machine, lineup=COSTS.lineup_named("light"), cameras=40)
    free = replace(light, costs=replace(COSTS, stream=replace(COSTS.stream, core_share=0.0)))
    assert simulate(light).device_load > 1.5 * simulate(free).device_load


def _loads(run: MachineRun) -> tuple[int, int]:
    return run.loads, run.evictions
