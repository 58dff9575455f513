"""Real Ray: three nodes on this machine, one device on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamapp.cluster import ray_node
from streamapp.cluster.cluster_host import ClusterScheduler
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Job, Priority
from tests.cluster.engine import WhereOperation, start_engine
from tests.cluster.machines import kill_machine, machines
from tests.scheduling import reason
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with machines(tmp_path_factory.getbasetemp(), 3) as nodes:
        ray_node.connect(nodes.address)
        kept = [
            ray_node.host_device(f"device-{number}", node["NodeID"], ray_node.machine_name(node), start_engine)
            for number, node in enumerate(ray_node.live_nodes())
        ]
        yield nodes
        assert len(kept) == 3
        ray_node.disconnect()


def where(variant: str = "a", within_s: float = 30.0, takes_s: float = 0.0, owner: str = "cam") -> Job[int, int]:
    operation = WhereOperation(variant, takes_s)
    return Job(operation, [1], owner, Priority.REFRESH, time.monotonic() + within_s, "asked for")


async def connected(count: int) -> ClusterScheduler:
    scheduler = ClusterScheduler(ray_node.RayDirectory(), max_in_flight=16)
    async with asyncio.timeout(60):
        while sum(known.last is not None for known in scheduler.known.values()) < count:
            await scheduler.look()
            await asyncio.sleep(0.1)
    return scheduler


def within_budget(scheduler: ClusterScheduler) -> bool:
    return all(part.committed_bytes <= part.budget_bytes for part in scheduler.snapshot().parts)


async def test_two_routers_race_and_no_ledger_is_over_its_budget(cluster: Any) -> None:
    one, two = await connected(3), await connected(3)
    running = [
        asyncio.ensure_future(router.submit(where(variant, takes_s=0.02, owner=f"{variant}{number}")))
        for number in range(5)
        for variant in "abc"
        for router in (one, two)
    ]
    while not all(task.done() for task in running):
        await one.look()
        assert within_budget(one)
        await asyncio.sleep(0.02)
    outcomes = [task.result() for task in running]
    assert [outcome for outcome in outcomes if not isinstance(outcome, Done)] == []
    assert len({outcome.values[0] for outcome in outcomes if isinstance(outcome, Done)}) == 3
    await one.look()
    assert one.snapshot().loads >= 3


async def test_a_deadline_holds_although_the_device_is_elsewhere(cluster: Any) -> None:
    scheduler = await connected(3)
    started_s = time.monotonic()
    assert reason(await scheduler.submit(where(within_s=0.3, takes_s=3.0))) is DropReason.STALE
    assert time.monotonic() - started_s < 2


async def test_a_node_is_killed_and_what_ran_there_is_run_elsewhere(cluster: Any) -> None:
    scheduler = await connected(3)
    running = [asyncio.ensure_future(scheduler.submit(where(v, takes_s=1.5, owner=v))) for v in "abc"]
    await until(lambda: sum(scheduler.in_flight(name) for name in scheduler.known) == 3)
    busy = {known.last.node for name, known in scheduler.known.items() if scheduler.in_flight(name) and known.last}
    killed = next(node for node in cluster.list_all_nodes() if node.node_id in busy and not node.head)
    await asyncio.to_thread(kill_machine, cluster, killed)
    outcomes = await asyncio.gather(*running)
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    assert scheduler.retried >= 1
    assert isinstance(await scheduler.submit(where()), Done)
