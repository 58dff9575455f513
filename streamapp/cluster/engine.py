"""The models of one device, as a node of the cluster runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamapp.cluster.device_actor import Engine
from streamapp.hosting.host import local_device
from streamapp.scheduler.device_memory import resolve_device
from streamapp.settings import Settings
from streamapp.tuning import tune_process
from streamapp.zoo.registry import Registry


@asynccontextmanager
async def model_engine(settings: Settings, number: int) -> AsyncIterator[Engine]:
    """For the length of the block. number: which of the node's devices. Raises ModelError."""
    tune_process()
    registry = Registry.from_settings(settings)
    device = resolve_device(settings.scheduler.device, number)
    async with local_device(settings, registry, device, number, {}) as local:
        yield Engine(local, tuple(variant.name for variant in registry.manifest.variants))
