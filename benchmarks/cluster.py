"""Analyses a second on one, two and three machines of a cluster, all made up on this one: what the way costs, and how
much of each further machine is left.

`python -m benchmarks.cluster [--quick]`: three `streamapp cluster up`, one lane on each; the same jobs are sent to the
first, to two and to three of them, turn by turn. Floor: this process with as many lanes, which is what this machine's
cores allow. Efficiency is the rate over so many times the rate of one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.live import linked_models
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.cluster import ray_node
from streamapp.cluster.membership import joined
from streamapp.cluster.remote_device import DeviceHandle
from streamapp.cluster_settings import ClusterSettings
from streamapp.models import Models
from streamapp.scheduler.api import Done, Job, Priority
from streamapp.settings import Settings
from streamapp.zoo.base import Crop

MACHINES = 3
CROPS = 8
OUTSTANDING = 4
"""Jobs under way for each machine or lane."""
PATIENCE_S = 60.0
CLUSTER, HERE = "machines", "lanes of one process"


class FirstOf:
    """A Directory of the first `count` devices of another."""

    def __init__(self, directory: ray_node.RayDirectory, count: int) -> None:
        self._directory = directory
        self._count = count

    async def devices(self) -> Mapping[str, DeviceHandle]:
        found = await self._directory.devices()
        return {name: found[name] for name in islice(sorted(found), self._count)}


@contextmanager
def cluster(folder: Path) -> Iterator[ClusterSettings]:
    """Of MACHINES."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address, first = f"127.0.0.1:{port}", folder / "0.token"
    with ExitStack() as stack:
        for number in range(MACHINES):
            own = folder / f"{number}.token"
            if number:
                own.write_text(first.read_text())
            where = ("--join", address) if number else ("--port", str(port))
            stack.enter_context(_machine(own, *where))
        yield ClusterSettings(address=address, token_file=first)


@contextmanager
def _machine(token_file: Path, *where: str) -> Iterator[None]:
    command = [sys.executable, "-m", "streamapp", "cluster", "up", "--places", "0", *where]
    environment = os.environ | {"STREAMAPP_CLUSTER__TOKEN_FILE": str(token_file)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "it did not start"
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


async def rate(models: Models, parts: int, seconds: float) -> float:
    """Crops a second."""
    analyst = models.lineup.antispoofer
    assert analyst is not None, "no anti-spoof model is installed"
    side = analyst.model.spec.side
    crops = [Crop(np.full((side, side, 3), number, np.uint8)) for number in range(CROPS)]
    done = 0
    end_s = time.monotonic() + seconds

    async def ask(number: int) -> None:
        nonlocal done
        while time.monotonic() < end_s:
            deadline_s = time.monotonic() + PATIENCE_S
            job = Job(analyst.operation, crops, f"measured-{number}", Priority.IMAGE, deadline_s, "measured")
            outcome = await models.scheduler.submit(job)
            assert isinstance(outcome, Done), outcome
            done += CROPS

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(OUTSTANDING * parts):
            group.create_task(ask(number))
    return done / (time.monotonic() - began_s)


@asynccontextmanager
async def hosts(settings: Settings) -> AsyncIterator[dict[tuple[str, int], Models]]:
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(joined(settings))
        assert member.machines == MACHINES
        found: dict[tuple[str, int], Models] = {}
        one_lane = _with_lanes(settings, 1)
        directory = member.directory(one_lane)
        for count in range(1, MACHINES + 1):
            host = ray_node.models_of(one_lane, FirstOf(directory, count))
            found[CLUSTER, count] = await stack.enter_async_context(Models.start(one_lane, host))
            found[HERE, count] = await stack.enter_async_context(Models.start(_with_lanes(settings, count)))
        yield found


def _with_lanes(settings: Settings, lanes: int) -> Settings:
    return settings.model_copy(update={"scheduler": settings.scheduler.model_copy(update={"lanes": lanes})})


async def measure(settings: Settings, rounds: int, seconds: float) -> dict[tuple[str, int], list[float]]:
    """Crops a second of each round."""
    found: dict[tuple[str, int], list[float]] = {}
    async with hosts(settings) as models:
        for number in range(rounds + 1):  # in the first, copies of the model are loaded
            progress(f"round {number} of {rounds}")
            for (place, count), host in models.items():
                taken = await rate(host, count, seconds)
                if number:
                    found.setdefault((place, count), []).append(taken)
    return found


def main() -> None:
    options = Options.of(parser("benchmarks.cluster", (__doc__ or "").splitlines()[0]).parse_args())
    rounds, seconds = (1, 2.0) if options.quick else (9, 4.0)
    with (
        linked_models(measured_settings()) as settings,
        tempfile.TemporaryDirectory(prefix="bench-cluster-") as folder,
        cluster(Path(folder)) as chosen,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(measure(settings.model_copy(update={"cluster": chosen}), rounds, seconds))
    rates = {key: median(values) for key, values in found.items()}
    counts = range(1, MACHINES + 1)
    rows = tuple(
        (place, count, rates[place, count], rates[place, count] / (count * rates[place, 1]))
        for place in (CLUSTER, HERE)
        for count in counts
    )
    cores = len(os.sched_getaffinity(0))
    figures = [
        Figure(f"{count} machines over {count} lanes of one process", rates[CLUSTER, count] / rates[HERE, count], "")
        for count in counts
    ]
    figures += [
        Figure(
            f"efficiency from 1 to {count} machines",
            rates[CLUSTER, count] / (count * rates[CLUSTER, 1]),
            "",
            ">= 0.9" if count <= cores else "",
            rates[CLUSTER, count] >= 0.9 * count * rates[CLUSTER, 1] if count <= cores else None,
        )
        for count in counts
        if count > 1
    ]
    notes = (
        f"Medians of {rounds} rounds of {seconds:g} s, turn by turn; {CROPS} crops a job, {OUTSTANDING} jobs under way "
        f"for each; anti-spoof model. All share {cores} cores with the one that asks.",
    )
    table = Table("Crops a second", ("where", "how many", "crops/s", "efficiency"), rows, notes)
    publish("cluster", options, figures, [table])


if __name__ == "__main__":
    main()
