"""Machines of a cluster, made up on this one: Ray's processes for each, and a secret they share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from streamapp.cluster import node_process, ray_node
from tests.waiting import until_sync

ROOT = str(Path(__file__).parents[2])
OFFERS = {ray_node.DEVICE: 1, ray_node.PLACE: 2}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def machines(folder: Path, count: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of so many machines, with a device and two places each. folder: for the
    secret; one for a whole run of the tests, as Ray reads it once."""
    from ray.cluster_utils import Cluster

    secret = folder / "cluster.token"
    node_process.make_secret(secret)
    before = dict(os.environ)
    os.environ.update(node_process.quiet_environment(folder), PYTHONPATH=ROOT)
    ray_node.use_secret(secret)
    running = {child.pid for child in psutil.Process().children(recursive=True)}
    offers: Any = {"num_cpus": 1, "resources": OFFERS, "object_store_memory": 80_000_000}
    head = offers | {"include_dashboard": False, "_system_config": node_process.HEALTH, "gcs_server_port": free_port()}
    nodes: Any = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(count - 1):
            nodes.add_node(**offers)
        nodes.secret = secret
        yield nodes
    finally:
        nodes.shutdown()
        os.environ.clear()
        os.environ.update(before)
        until_sync(lambda: not {child.pid for child in psutil.Process().children(recursive=True)} - running, 20)


def kill_machine(nodes: Any, node: Any) -> None:
    """Everything on it ends at once, as when its power is cut."""
    below = []
    for process in (one.process.pid for ones in node.all_processes.values() for one in ones):
        below += [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    for process in below:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    nodes.remove_node(node, allow_graceful=False)
