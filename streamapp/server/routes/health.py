"""How the server is: alive, ready, in what state, and its figures."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Protocol

import numpy as np
import psutil
from fastapi import APIRouter, Response, status

from streamapp import __version__
from streamapp.errors import ModelError, UsageError
from streamapp.metrics import CONTENT_TYPE, Snapshot, exposition
from streamapp.results import DropReason
from streamapp.runtime import Runtime
from streamapp.server.schemas import Health, Readiness, ServiceCounts, ServiceHealth, Status, StreamInfo
from streamapp.sources.base import SourceState
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task

_BROKEN_STATES = {SourceState.RECONNECTING, SourceState.FAILED}


class PeerCounts(Protocol):
    """How many browsers are connected."""

    @property
    def publishers(self) -> int: ...

    @property
    def viewers(self) -> int: ...


def health_router(runtime: Runtime, peers: PeerCounts) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> Health:
        """The process is alive; each model system and how it is. Answers 200 as long as it answers."""
        services = {"mediapipe": await asyncio.to_thread(_screener_health, runtime)}
        return Health(version=__version__, uptime_s=round(time.time() - runtime.started_at, 1), services=services)

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Whether streams can be analysed; 503 names what is missing."""
        screener = await asyncio.to_thread(_screener_health, runtime)
        missing = [] if screener.detail is None else [screener.detail]
        if missing:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return Readiness(ready=not missing, missing=missing)

    @router.get("/status")
    async def overall_status() -> Status:
        """The whole at a glance: degraded if a model is unusable or a stream is not live."""
        screener = await asyncio.to_thread(_screener_health, runtime)
        healthy = int(screener.detail is None)
        broken = any(session.status.state in _BROKEN_STATES for session in runtime.streams.values())
        return Status(
            overall_status="healthy" if healthy and not broken else "degraded",
            services=ServiceCounts(total=1, healthy=healthy, unhealthy=1 - healthy),
            gpu=None,
            streams=[StreamInfo.of(session) for session in runtime.streams.values()],
        )

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(exposition(_snapshot(runtime, peers)), media_type=CONTENT_TYPE)

    return router


def _screener_health(runtime: Runtime) -> ServiceHealth:
    """Reads the weights' hash the first time: not for the event loop."""
    settings = runtime.settings
    loaded = any(session.frames for session in runtime.streams.values())
    try:
        registry = Registry.from_settings(settings)
        variant = registry.chosen(Task.SCREEN, settings.models.screener)
        registry.verified(variant)
    except (ModelError, UsageError) as error:
        return ServiceHealth(
            status="unhealthy",
            model_loaded=False,
            model=None,
            provider="cpu",
            memory_mb=None,
            licence=None,
            detail=str(error),
        )
    return ServiceHealth(
        status="healthy",
        model_loaded=loaded,
        model=variant.name,
        provider=f"cpu ({settings.models.runtime.value})",
        memory_mb=round(psutil.Process().memory_info().rss / 1e6, 1),
        licence=variant.licence,
        detail=None,
    )


def _snapshot(runtime: Runtime, peers: PeerCounts) -> Snapshot:
    process = psutil.Process()
    sessions = tuple(runtime.streams.values())
    states = Counter({state.value: 0 for state in SourceState})
    states.update(session.status.state.value for session in sessions)
    latency_ms = [session.latest.result.timing_ms["total"] for session in sessions if session.latest]
    quantiles = zip(("0.5", "0.95"), np.percentile(latency_ms, [50, 95]).tolist(), strict=True) if latency_ms else ()
    dropped = runtime.dropped_total
    return Snapshot(
        version=__version__,
        uptime_s=time.time() - runtime.started_at,
        memory_bytes=process.memory_info().rss,
        threads=process.num_threads(),
        open_files=process.num_fds(),
        streams_by_state=states,
        frames=runtime.frames_total,
        dropped_by_reason={reason.value: dropped[reason] for reason in DropReason},
        publishers=peers.publishers,
        viewers=peers.viewers,
        latency_s={name: value / 1e3 for name, value in quantiles},
    )
