"""How the server is: alive, ready, in what state, and its figures."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response, status

from streamapp import __version__
from streamapp.access.tokens import Scope
from streamapp.choices import Profile
from streamapp.errors import DeviceLost
from streamapp.metrics import CONTENT_TYPE, Snapshot, exposition
from streamapp.planning import PlanReport, plan_of, report_of
from streamapp.recording.entry import RecordingState
from streamapp.results import DropReason
from streamapp.runtime import Runtime
from streamapp.server.census import Census, CensusTaker
from streamapp.server.entrance import may
from streamapp.server.openapi import problem_responses, sends
from streamapp.server.services import (
    ServiceBoard,
    event_figures,
    gpu_in_use,
    machine_states,
    memory_state,
    missing,
    model_figures,
    needed_systems,
    queue_state,
)
from streamapp.server.status_schemas import (
    HEALTHY,
    EventsState,
    Health,
    Liveness,
    Readiness,
    ServiceCounts,
    ServiceHealth,
    Status,
)
from streamapp.sources.base import SourceState

MAX_PLANNED_MB = 1_000_000
_ENDS = tuple(state for state in RecordingState if state is not RecordingState.RECORDING)
_BROKEN_STATES = {SourceState.RECONNECTING, SourceState.FAILED}


def health_router(runtime: Runtime, taker: CensusTaker) -> APIRouter:
    router = APIRouter(tags=["health"])
    board = ServiceBoard(runtime)

    @router.get("/health")
    async def health(request: Request) -> Health | Liveness:
        """The process is alive; each model system and how it is. Answers 200 as long as it answers. Where tokens are
        in use, whoever has none for looking learns no more than that."""
        if not may(request, Scope.VIEW):
            return Liveness()
        found = await board.look(await taker.census())
        return Health(version=__version__, uptime_s=round(time.time() - runtime.started_at, 1), services=found)

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Whether streams can be analysed in the default mode; 503 names what is missing."""
        lacking = missing(await board.look(await taker.census()), runtime.settings.pipeline.mode)
        if lacking:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return Readiness(ready=not lacking, missing=lacking)

    @router.get("/status")
    async def overall_status() -> Status:
        """The whole at a glance: degraded if a system that is in use, or would be, is unusable, or a stream is not
        live."""
        census = await taker.census()
        found = await board.look(census)
        healthy = sum(service.status == HEALTHY for service in found.values())
        broken = any(stream.state in _BROKEN_STATES for stream in census.streams)
        lacking = _lacking(runtime, census, found) > 0
        snapshot = runtime.models.residency.snapshot()
        return Status(
            overall_status="degraded" if broken or lacking else "healthy",
            services=ServiceCounts(total=len(found), healthy=healthy, unhealthy=len(found) - healthy),
            gpu=gpu_in_use(snapshot),
            profile=runtime.models.lineup.profile,
            privacy=runtime.settings.privacy.blur_unknown,
            memory=memory_state(snapshot, runtime.models.registry.manifest),
            jobs=queue_state(runtime.models.scheduler.state()),
            streams=list(census.streams),
            machines=machine_states(census.machines),
            events=None if runtime.events is None else EventsState.of(runtime.events.state),
        )

    @router.get("/plan", responses=problem_responses({503: {DeviceLost.code: "the GPU does not answer"}}))
    async def plan(
        budget_mb: Annotated[int | None, Query(ge=1, le=MAX_PLANNED_MB)] = None, profile: Profile | None = None
    ) -> PlanReport:
        """What of a profile would stay in memory, swap or not run in another budget; nothing is loaded for it."""
        found = await asyncio.to_thread(plan_of, runtime.settings, budget_mb=budget_mb, profile=profile)
        return report_of(found)

    @router.get("/metrics", response_class=Response, responses=sends("text/plain"))
    async def metrics() -> Response:
        """Figures for Prometheus."""
        census = await taker.census()
        lacking = _lacking(runtime, census, await board.look(census))
        return Response(exposition(_snapshot(runtime, census, lacking)), media_type=CONTENT_TYPE)

    return router


def _lacking(runtime: Runtime, census: Census, found: Mapping[str, ServiceHealth]) -> int:
    """How many of the systems that are in use, or would be in the default mode, are unusable."""
    needed = (found[system] for system in needed_systems(runtime, census))
    return sum(service.status != HEALTHY and not service.optional for service in needed)


def _snapshot(runtime: Runtime, census: Census, systems_lacking: int) -> Snapshot:
    states = Counter({state.value: 0 for state in SourceState})
    states.update(stream.state.value for stream in census.streams)
    latency_ms = [stream.latency_ms for stream in census.streams if stream.latency_ms is not None]
    quantiles = zip(("0.5", "0.95"), np.percentile(latency_ms, [50, 95]).tolist(), strict=True) if latency_ms else ()
    dropped = census.dropped
    kept = runtime.recordings.figures
    return Snapshot(
        version=__version__,
        uptime_s=time.time() - runtime.started_at,
        memory_bytes=census.memory_bytes,
        threads=census.threads,
        open_files=census.open_files,
        streams_by_state=states,
        frames=census.frames,
        dropped_by_reason={reason.value: dropped[reason] for reason in DropReason},
        publishers=census.publishers,
        viewers=census.viewers,
        latency_s={name: value / 1e3 for name, value in quantiles},
        systems_lacking=systems_lacking,
        models=model_figures(runtime, census),
        events=None if runtime.events is None else event_figures(runtime.events.state),
        recordings_active=len(census.recording),
        recordings_bytes=kept.kept_bytes + sum(entry.bytes for entry in census.recording.values()),
        recordings_ended_by_state={state.value: census.recordings_ended[state] for state in _ENDS},
        recordings_removed=kept.removed,
    )
