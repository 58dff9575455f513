"""One machine in simulated time: made-up cameras, the real policies, devices that only take their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from streamapp.capacity.camera import Ask, Camera, Traffic
from streamapp.capacity.costs import Costs, Lineup, Machine
from streamapp.capacity.simulated_device import SimulatedDevice, SimulatedJob, Work
from streamapp.pipeline.escalation import DEADLINE_S
from streamapp.pipeline.keyframes import KeyframeRequest
from streamapp.results import DropReason
from streamapp.scheduler.api import Priority
from streamapp.scheduler.placement import place
from streamapp.sections import SchedulerSettings

FRAME_S = 0.1
"""How often the keyframe policy is asked; its own times are 0.3 s and more."""
LEAST_FREE = 0.05
"""Of its cores, that a full machine leaves for models."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated. `machine` without GPUs: as many lanes as cores, which the streams slow down; with several,
    the app's placement says which runs a job."""

    costs: Costs
    machine: Machine
    lineup: Lineup
    cameras: int
    traffic: Traffic
    seconds: float
    seed: str
    queue_size: int = SchedulerSettings().queue_size


@dataclass(frozen=True, slots=True)
class MachineRun:
    """What became of it. Every job that was submitted is counted once: done, dropped by reason, or still in hand when
    time was up."""

    cameras: int
    seconds: float
    submitted: int
    done: int
    in_hand: int
    dropped: dict[DropReason, int]
    analyses: int
    """Items of the analysis models."""
    keyframes: int
    queue_age_p50_s: float
    queue_age_p95_s: float
    """Of all jobs that ended, from their submission to their run or their drop."""
    device_load: float
    """Share of the time that lanes ran models."""
    frame_load: float
    """Share of the cores that decoding and screening take."""
    loads: int
    evictions: int

    @property
    def drop_share(self) -> float:
        return sum(self.dropped.values()) / max(1, self.submitted)

    @property
    def analyses_per_s(self) -> float:
        return self.analyses / self.seconds


def simulate(scenario: Scenario) -> MachineRun:
    return _SimulatedMachine(scenario).run()


class _SimulatedMachine:
    def __init__(self, scenario: Scenario) -> None:
        costs, machine = scenario.costs, scenario.machine
        self._scenario = scenario
        self._env = simpy.Environment()
        self._keyframes = 0
        self.frame_load = scenario.cameras * costs.stream.core_share / machine.cores
        slowdown = 1.0 if machine.gpus else 1 / max(LEAST_FREE, 1 - self.frame_load)
        self._devices = [
            SimulatedDevice(
                self._env,
                f"device-{number}",
                costs.device_of(machine),
                costs.operations_of(scenario.lineup),
                lanes=1 if machine.gpus else machine.cores,
                capacity=scenario.queue_size,
                slowdown=lambda: slowdown,
                seed=f"{scenario.seed}/device-{number}",
            )
            for number in range(max(1, machine.gpus))
        ]
        for number in range(scenario.cameras):
            name = f"camera-{number}"
            camera = Camera(name, scenario.traffic, scenario.lineup, f"{scenario.seed}/{name}")
            self._env.process(self._watch(camera, FRAME_S * number / scenario.cameras))

    def run(self) -> MachineRun:
        scenario = self._scenario
        self._env.run(until=scenario.seconds)
        tallies = [device.tally for device in self._devices]
        items, dropped = Counter[str](), Counter[DropReason]()
        for tally in tallies:
            items += tally.items
            dropped += tally.dropped
        waits_s = [wait_s for tally in tallies for wait_s in tally.waits_s]
        submitted, done = (sum(getattr(tally, name) for tally in tallies) for name in ("submitted", "done"))
        lanes = sum(device.lanes for device in self._devices)
        return MachineRun(
            cameras=scenario.cameras,
            seconds=scenario.seconds,
            submitted=submitted,
            done=done,
            in_hand=submitted - done - sum(dropped.values()),
            dropped=dict(dropped),
            analyses=sum(items[name] for name in scenario.lineup.analysers),
            keyframes=self._keyframes,
            queue_age_p50_s=_percentile(waits_s, 50),
            queue_age_p95_s=_percentile(waits_s, 95),
            device_load=sum(tally.busy_s for tally in tallies) / (lanes * scenario.seconds),
            frame_load=self.frame_load,
            loads=sum(tally.loads for tally in tallies),
            evictions=sum(tally.evictions for tally in tallies),
        )

    def _watch(self, camera: Camera, phase_s: float) -> Work:
        yield self._env.timeout(phase_s)
        while True:
            request = camera.decide(self._env.now)
            if request is not None:
                self._env.process(self._examine(camera, request))
            yield self._env.timeout(FRAME_S)

    def _examine(self, camera: Camera, request: KeyframeRequest) -> Work:
        """As pipeline/escalation.py: analysis, then sweep, within one deadline; what is dropped holds nothing up."""
        start_s, analysed = self._env.now, True
        self._keyframes += 1
        for step in camera.steps(request):
            jobs = [self._submit(ask, camera.name, request.priority, start_s + DEADLINE_S) for ask in step]
            yield simpy.AllOf(self._env, [job.ended for job in jobs])
            if step[0].operation in self._scenario.lineup.analysers:
                analysed = all(job.ended.value is None for job in jobs)
        if request.targets and analysed:
            camera.answered(request)
        camera.finish(self._env.now - start_s, self._env.now)

    def _submit(self, ask: Ask, owner: str, priority: Priority, deadline_s: float) -> SimulatedJob:
        job = SimulatedJob(ask, owner, priority, deadline_s, self._env.event())
        self._place(ask).submit(job)
        return job

    def _place(self, ask: Ask) -> SimulatedDevice:
        """Where it fits nowhere now, it waits, or is dropped, on the first one."""
        if len(self._devices) == 1:
            return self._devices[0]
        views = [device.view() for device in self._devices]
        name = place(self._devices[0].need(ask), views)
        return next((device for device in self._devices if device.name == name), self._devices[0])


def _percentile(values: Sequence[float], percent: float) -> float:
    """0 where there is nothing."""
    return float(np.percentile(values, percent)) if values else 0.0
