"""How each model system is: what serves it, whether that is usable, loaded, and what really runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from streamapp.errors import ModelError, UsageError
from streamapp.events.event_log import EventLogState
from streamapp.faces import Mode
from streamapp.hosting.machine import MachineFigures
from streamapp.metrics import EventFigures, ModelFigures
from streamapp.pipeline.keyframes import Reason
from streamapp.results import DropReason
from streamapp.runtime import Runtime
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import EvictionReason, ResidencySnapshot
from streamapp.server.census import Census
from streamapp.server.status_schemas import (
    HEALTHY,
    UNHEALTHY,
    JobQueueState,
    MachineState,
    MemoryState,
    ModelRunState,
    ResidentState,
    ServiceHealth,
)
from streamapp.zoo.lineup import System, systems_of
from streamapp.zoo.manifest import Manifest
from streamapp.zoo.ort_session import CUDA
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Variant

MB = 1e6


class ServiceBoard:
    """Looks at every system, on a thread of its own: the first look reads files' hashes, and health must be told also
    when all other threads are busy."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="services")

    async def look(self, census: Census) -> dict[str, ServiceHealth]:
        """Every system, by its name."""
        snapshot = self._runtime.models.residency.snapshot()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._look, snapshot, census)

    def _look(self, snapshot: ResidencySnapshot, census: Census) -> dict[str, ServiceHealth]:
        self._runtime.models.look_again()
        return {system.value: _service(self._runtime, system, snapshot, census) for system in System}


def needed_systems(runtime: Runtime, census: Census) -> set[System]:
    """What the default mode and the streams at work use."""
    modes = {runtime.settings.pipeline.mode, *(stream.mode for stream in census.streams)}
    return {system for mode in modes for system in systems_of(mode)}


def missing(found: dict[str, ServiceHealth], mode: Mode) -> list[str]:
    """What keeps a mode from working, with the command that mends it."""
    return [
        service.detail
        for system in systems_of(mode)
        if (service := found[system]).status != HEALTHY and service.detail and not service.optional
    ]


def _service(runtime: Runtime, system: System, snapshot: ResidencySnapshot, census: Census) -> ServiceHealth:
    models = runtime.models
    variants = models.lineup.of_system(system)
    absent = [absent for absent in models.lineup.absent if absent.system is system]
    problems = [entry.message for entry in absent if not entry.optional or not variants]
    problems += list(_invalid(runtime, variants))
    problems += [f"{fault.variant}: {fault.reason}" for fault in snapshot.degraded if fault.variant in _names(variants)]
    resident = [model for model in snapshot.resident if model.variant in _names(variants)]
    providers = sorted({model.provider for model in resident}) or [f"{models.device} (not loaded)"]
    if system is System.MEDIAPIPE:
        # Each stream has a screener of its own, outside the budget: under a megabyte, always on the processor.
        providers = [f"cpu ({runtime.settings.models.runtime.value})"]
    elif models.device is Device.CUDA and any(CUDA not in model.provider for model in resident):
        problems.append("a GPU was asked for, and this runs on the processor; `streamapp doctor` says why")
    loaded = {model.variant for model in resident}
    memory_bytes = sum(model.holding.total_bytes for model in resident)
    if system is System.MEDIAPIPE:
        loaded |= _names(variants) if any(stream.frames for stream in census.streams) else set()
        memory_bytes = census.memory_bytes
    return ServiceHealth(
        status=UNHEALTHY if problems else HEALTHY,
        model_loaded=bool(variants) and _names(variants) <= loaded,
        model=" + ".join(variant.name for variant in variants) or None,
        provider=", ".join(providers),
        memory_mb=round(memory_bytes / MB, 1) if variants else None,
        licence="; ".join(dict.fromkeys(variant.licence or "not known" for variant in variants)) or None,
        detail="; ".join(problems) or None,
        optional=bool(absent) and all(entry.optional for entry in absent),
    )


def _names(variants: Iterable[Variant]) -> set[str]:
    return {variant.name for variant in variants}


def _invalid(runtime: Runtime, variants: Iterable[Variant]) -> Iterable[str]:
    """Why files that are there are not the right ones."""
    for variant in variants:
        try:
            runtime.models.registry.verified(variant)
        except (ModelError, UsageError) as error:
            yield str(error)


def gpu_in_use(snapshot: ResidencySnapshot) -> str | None:
    """The GPU, if a session that is loaded says it runs there."""
    return snapshot.device if any(CUDA in model.provider for model in snapshot.resident) else None


def memory_state(snapshot: ResidencySnapshot, manifest: Manifest) -> MemoryState:
    return MemoryState(
        device=snapshot.device,
        total_mb=round(snapshot.total_bytes / MB, 1),
        others_mb=round(snapshot.others_bytes / MB, 1),
        reserve_mb=round(snapshot.reserve_bytes / MB, 1),
        budget_mb=round(snapshot.budget_bytes / MB, 1),
        committed_mb=round(snapshot.committed_bytes / MB, 1),
        by_owner_mb={owner: round(size / MB, 1) for owner, size in snapshot.bytes_by_owner.items()},
        resident=[
            ResidentState(
                variant=model.variant,
                mb=round(model.holding.total_bytes / MB, 1),
                measured=model.source == "measured",
                provider=model.provider,
                batches=list(model.buckets),
                leases=model.leases,
                idle_s=round(model.idle_s, 1),
                licence=manifest.licence_of(model.variant),
            )
            for model in snapshot.resident
        ],
        degraded={fault.variant: fault.reason for fault in snapshot.degraded},
        loads=snapshot.loads,
        evictions={reason: snapshot.evictions.get(reason, 0) for reason in EvictionReason},
        lost=snapshot.lost,
        devices=[memory_state(part, manifest) for part in snapshot.parts],
    )


def machine_states(figures: Iterable[MachineFigures]) -> list[MachineState]:
    return [
        MachineState(
            name=one.name,
            cores=one.cores,
            busy_cores=one.busy_cores,
            memory_mb=round(one.memory_bytes / MB, 1),
            used_mb=round(one.used_bytes / MB, 1),
            devices=list(one.devices),
            streams=list(one.streams),
            workers=one.workers,
            gallery_version=one.gallery_version,
            analysed=one.analysed,
            sent_mb=round(one.sent_bytes / MB, 3),
            received_mb=round(one.received_bytes / MB, 3),
        )
        for one in figures
    ]


def queue_state(state: SchedulerState) -> JobQueueState:
    return JobQueueState(
        queued={priority.name.lower(): count for priority, count in state.queued.items()},
        oldest_s={priority.name.lower(): round(age, 3) for priority, age in state.oldest_s.items()},
        running=state.running,
        lanes=state.lanes,
        lanes_replaced=state.lanes_replaced,
        dropped={reason: state.dropped.get(reason, 0) for reason in DropReason},
        operations={
            name: ModelRunState(
                done=operation.done,
                failed=operation.failed,
                items=operation.items,
                circuit=operation.circuit,
                batch_ms=round(median(operation.run_s) * 1e3, 2) if operation.run_s else None,
                items_per_batch=round(operation.items / operation.batches, 2) if operation.batches else None,
            )
            for name, operation in state.operations.items()
        },
    )


def model_figures(runtime: Runtime, census: Census) -> ModelFigures:
    snapshot, state = runtime.models.residency.snapshot(), runtime.models.scheduler.state()
    keyframes = census.keyframes
    return ModelFigures(
        budget_bytes=snapshot.budget_bytes,
        bytes_by_owner=snapshot.bytes_by_owner,
        loads=snapshot.loads,
        evictions_by_reason={reason.value: snapshot.evictions.get(reason, 0) for reason in EvictionReason},
        queued_by_class={priority.name.lower(): count for priority, count in state.queued.items()},
        oldest_s_by_class={priority.name.lower(): age for priority, age in state.oldest_s.items()},
        done_by_operation={name: operation.done for name, operation in state.operations.items()},
        failed_by_operation={name: operation.failed for name, operation in state.operations.items()},
        run_s_by_operation={
            name: median(operation.run_s) for name, operation in state.operations.items() if operation.run_s
        },
        jobs_dropped_by_reason={reason.value: state.dropped.get(reason, 0) for reason in DropReason},
        keyframes_by_reason={reason.value: keyframes[reason.value] for reason in Reason},
    )


def event_figures(state: EventLogState) -> EventFigures:
    return EventFigures(
        by_kind={kind.value: count for kind, count in state.by_kind.items()},
        dropped_by_reason={reason.value: state.dropped.get(reason, 0) for reason in DropReason},
        missed=state.missed,
        outcomes={
            (target.name, outcome.value): count
            for target in state.targets
            for outcome, count in target.outcomes.items()
        },
        waiting_by_target={target.name: target.waiting for target in state.targets},
    )
