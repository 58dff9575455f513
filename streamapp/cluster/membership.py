"""This process as a part of a cluster: what it runs there, and who else is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streamapp.cluster import ray_node
from streamapp.cluster.engine import model_engine
from streamapp.cluster.launcher import ClusterLauncher, cluster_launcher
from streamapp.hosting.host import ModelHost
from streamapp.settings import Settings


@dataclass(frozen=True, slots=True)
class Membership:
    machines: int
    """That are there now."""
    machine: str
    """The name of this one."""

    def models(self, settings: Settings) -> AbstractAsyncContextManager[ModelHost]:
        """Every device of every machine runs models, those of machines that come later included. Raises DeviceLost."""
        return ray_node.models_of(settings, self.directory(settings))

    def directory(self, settings: Settings) -> ray_node.RayDirectory:
        """All devices, started where they are not yet."""
        there = with_absolute_paths(settings)
        return ray_node.RayDirectory(lambda number: partial(model_engine, there, number))

    def launcher(self, settings: Settings) -> AbstractAsyncContextManager[ClusterLauncher]:
        return cluster_launcher(partial(ray_node.RayOwner, with_absolute_paths(settings)), self.machine)


def with_absolute_paths(settings: Settings) -> Settings:
    """Ray's processes are at work in a folder of Ray's: files are looked for where this process would."""
    sections = {}
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        paths = {field: value.absolute() for field, value in section if isinstance(value, Path)}
        folders = {
            field: tuple(folder.absolute() for folder in value)
            for field, value in section
            if isinstance(value, tuple) and any(isinstance(one, Path) for one in value)
        }
        sections[name] = section.model_copy(update=paths | folders)
    return settings.model_copy(update=sections)


@asynccontextmanager
async def joined(settings: Settings) -> AsyncIterator[Membership]:
    """Connected to the cluster of the settings for the length of the block. Raises DeviceLost, and UsageError without
    its secret."""
    assert settings.cluster.address is not None
    ray_node.use_secret(settings.cluster.token_file)
    await asyncio.to_thread(ray_node.connect, settings.cluster.address)
    try:
        count = len(await asyncio.to_thread(ray_node.live_nodes))
        yield Membership(count, await asyncio.to_thread(ray_node.this_machine))
    finally:
        await asyncio.to_thread(ray_node.disconnect)
