"""Ray: the one file that imports it. Usage statistics are off, and who does not know the cluster's secret is refused.

Ray's processes listen on every address of the machine, and whoever reaches their ports with the secret can run any code
(its serialiser is pickle): a firewall must keep them shut to all but the cluster's machines.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streamapp.cluster.cluster_host import Directory, cluster_host
from streamapp.cluster.device_actor import DeviceHost, StartEngine
from streamapp.cluster.messages import SentJob, SentReport
from streamapp.cluster.owner_actor import OwnerHost
from streamapp.cluster.remote_device import DeviceHandle, Ways
from streamapp.cluster.tunnel import Wire
from streamapp.errors import DeviceLost, RuntimeMissing, StreamappError, UsageError
from streamapp.hosting.host import ModelHost
from streamapp.hosting.machine import THIS_MACHINE
from streamapp.scheduler.api import Outcome
from streamapp.settings import Settings

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # it reports that it has nothing to report, else
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds to wait for a cluster that does not answer or refuses
}
"""Set before Ray is imported, and so for every process it starts."""
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - the variable's name, not a token
os.environ.update(QUIET)

try:
    import ray
    from ray import exceptions
    from ray.util import list_named_actors
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise RuntimeMissing("Ray is not installed: pip install 'streamapp[cluster]'") from missing

NAMESPACE = "streamapp"
DEVICE, PLACE = "streamapp_device", "streamapp_place"
"""Resources: a node offers as many as it has devices, and places for owners of streams."""
CALLS_AT_ONCE = 1000
"""That one actor has begun. A device's scheduler has a shorter queue, and refuses what is beyond."""


class RayDevice:
    """A DeviceHandle: a Ray actor."""

    def __init__(self, actor: Any) -> None:  # Ray's handles have no static type
        self._actor = actor

    async def submit(self, sent: SentJob) -> Outcome[Any]:
        outcome: Outcome[Any] = await _answer(lambda: self._actor.submit.remote(sent))
        return outcome

    async def report(self) -> SentReport:
        try:
            report: SentReport = await _answer(self._actor.report.remote)
        except DeviceLost:
            raise
        except StreamappError as error:
            raise DeviceLost(f"the device could not be started: {error}") from error
        return report


class RayDirectory:
    """The devices of the cluster this process is connected to."""

    def __init__(self, start: Callable[[int], StartEngine] | None = None) -> None:
        """start: what starts the device of a node with that number, where none is there yet; None: others do that."""
        self._start = start
        self._handles: dict[str, RayDevice] = {}

    async def devices(self) -> Mapping[str, DeviceHandle]:
        try:
            return await asyncio.to_thread(self._devices)
        except (exceptions.RayError, ConnectionError) as error:
            raise DeviceLost(f"the cluster does not answer: {error}") from error

    def _devices(self) -> Mapping[str, DeviceHandle]:
        names = list_named_actors()
        if self._start is not None:
            for node in live_nodes():
                for number in range(int(node["Resources"].get(DEVICE, 0))):
                    name = f"{machine_name(node)}/{number}"
                    if name not in names:
                        self._handles[name] = RayDevice(
                            host_device(name, node["NodeID"], machine_name(node), self._start(number))
                        )
                        names.append(name)
        for name in names:
            if name not in self._handles:
                try:
                    self._handles[name] = RayDevice(ray.get_actor(name))
                except ValueError:  # it ended between both calls
                    continue
        return {name: self._handles[name] for name in names if name in self._handles}


class RayOwner:
    """An OwnerHandle: a Ray actor on some node that has a place."""

    def __init__(self, settings: Settings) -> None:
        self._actor: Any = (  # Ray's types do not know of async methods
            ray.remote(OwnerHost)
            .options(
                num_cpus=0,
                resources={PLACE: 1},
                max_restarts=0,  # the server has a new one made, elsewhere if need be
                max_concurrency=CALLS_AT_ONCE,
                scheduling_strategy="SPREAD",
            )
            .remote(settings, models_of, this_machine)
        )

    async def start(self, index: int) -> str:
        machine: str = await _answer(lambda: self._actor.start.remote(index))
        return machine

    async def wait(self) -> str:
        how: str = await _answer(self._actor.wait.remote)
        return how

    async def end(self) -> None:
        await _answer(self._actor.end.remote)

    def kill(self) -> None:
        ray.kill(self._actor)

    async def connect(self, number: int, wire: Wire) -> None:
        await _answer(lambda: self._actor.connect.remote(number, wire))

    async def send(self, number: int, data: bytes) -> None:
        await _answer(lambda: self._actor.send.remote(number, data))

    async def receive(self, number: int) -> bytes:
        data: bytes = await _answer(lambda: self._actor.receive.remote(number))
        return data


def use_secret(file: Path) -> None:
    """What this process and those it starts show to others, unless the environment has it (RAY_AUTH_TOKEN, as KubeRay
    sets it). Raises UsageError if there is none."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return
    if not file.is_file():
        raise UsageError(
            f"there is no {file}: `streamapp cluster up` makes it on the first machine; copy it from there"
        )
    os.environ[TOKEN_PATH] = str(file.resolve())


def connect(address: str) -> None:
    """Makes this process a client of the cluster at `address`, host:port. Blocks. Raises DeviceLost."""
    try:
        ray.init(address, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, exceptions.RayError) as error:
        raise DeviceLost(f"no cluster at {address}: {str(error).splitlines()[0]}") from error


def disconnect() -> None:
    ray.shutdown()


def live_nodes() -> list[dict[str, Any]]:
    """As Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def machine_name(node: Mapping[str, Any]) -> str:
    """As people see it: several may have the same name in their network."""
    return f"{node['NodeManagerHostname']}-{node['NodeID'][:4]}"


def this_machine() -> str:
    """The name of the one this process runs on. Blocks."""
    here = ray.get_runtime_context().get_node_id()
    return next((machine_name(node) for node in live_nodes() if node["NodeID"] == here), THIS_MACHINE)


def host_device(name: str, node: str, machine: str, start: StartEngine) -> Any:
    """Starts a device on the node with that id; it ends with this process."""
    actor = ray.remote(DeviceHost).options(
        name=name,
        get_if_exists=True,  # another server may have been faster
        num_cpus=0,
        resources={DEVICE: 1},
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=CALLS_AT_ONCE,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
    )
    return actor.remote(name, node, machine, start)


@asynccontextmanager
async def models_of(settings: Settings, directory: Directory | None = None) -> AsyncIterator[ModelHost]:
    """The models of the cluster this process is connected to, for the length of the block. Raises DeviceLost."""
    chosen = settings.cluster
    ways = Ways(await asyncio.to_thread(this_machine), chosen.crop_quality, chosen.stream_kb_s * 1000)
    in_flight = settings.scheduler.queue_size
    async with cluster_host(directory or RayDirectory(), max_in_flight=in_flight, ways=ways) as host:
        yield host


async def _answer(call: Callable[[], Any]) -> Any:
    reference = None
    try:
        reference = call()
        return await reference
    except asyncio.CancelledError:
        if reference is not None and ray.is_initialized():
            ray.cancel(reference)
        raise
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, StreamappError):
            raise error.cause from None
        raise DeviceLost(f"it failed: {error.cause}") from error
    except exceptions.RayError as error:
        raise DeviceLost(f"its machine or its process is gone ({type(error).__name__})") from error
