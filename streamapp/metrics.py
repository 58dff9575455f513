"""The figures Prometheus reads, in its text format. Labels come from closed sets only: no names, no addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """How the models are, as of one moment. Variants, operations and reasons are closed sets."""

    budget_bytes: int
    bytes_by_owner: Mapping[str, int]
    loads: int
    evictions_by_reason: Mapping[str, int]
    queued_by_class: Mapping[str, int]
    oldest_s_by_class: Mapping[str, float]
    done_by_operation: Mapping[str, int]
    failed_by_operation: Mapping[str, int]
    run_s_by_operation: Mapping[str, float]
    """Median of the last batches."""
    jobs_dropped_by_reason: Mapping[str, int]
    keyframes_by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EventFigures:
    """What became of the events. Targets are those of the settings."""

    by_kind: Mapping[str, int]
    dropped_by_reason: Mapping[str, int]
    """Not kept."""
    missed: int
    """What listeners were too slow for, and read from the store."""
    outcomes: Mapping[tuple[str, str], int]
    """By target and outcome."""
    waiting_by_target: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is exported, as of one moment."""

    version: str
    uptime_s: float
    memory_bytes: int
    threads: int
    open_files: int
    streams_by_state: Mapping[str, int]
    frames: int
    dropped_by_reason: Mapping[str, int]
    publishers: int
    viewers: int
    latency_s: Mapping[str, float]
    """Newest results' time in this process, arrival to result, by quantile."""
    systems_lacking: int
    """Model systems that are in use, or would be in the default mode, and unusable."""
    models: ModelFigures
    recordings_active: int
    recordings_bytes: int
    recordings_ended_by_state: Mapping[str, int]
    recordings_removed: int
    events: EventFigures | None = None


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        now = self._snapshot
        yield _labelled(GaugeMetricFamily, "streamapp_info", "The version.", "version", {now.version: 1})
        yield GaugeMetricFamily("streamapp_uptime_seconds", "Time since the start.", now.uptime_s)
        yield GaugeMetricFamily("streamapp_memory_bytes", "Resident memory.", now.memory_bytes)
        yield GaugeMetricFamily("streamapp_threads", "Threads.", now.threads)
        yield GaugeMetricFamily("streamapp_open_files", "Open file descriptors.", now.open_files)
        yield _labelled(GaugeMetricFamily, "streamapp_streams", "Streams by state.", "state", now.streams_by_state)
        yield CounterMetricFamily("streamapp_results", "Frame results published.", now.frames)
        yield _labelled(
            CounterMetricFamily, "streamapp_dropped", "Pictures dropped by reason.", "reason", now.dropped_by_reason
        )
        yield GaugeMetricFamily("streamapp_publishers", "Browsers publishing (WHIP).", now.publishers)
        yield GaugeMetricFamily("streamapp_viewers", "Browsers playing (WHEP).", now.viewers)
        yield _labelled(
            GaugeMetricFamily,
            "streamapp_latency_seconds",
            "Arrival of a picture to its result.",
            "quantile",
            now.latency_s,
        )
        yield GaugeMetricFamily(
            "streamapp_systems_lacking", "Model systems that are needed and unusable.", now.systems_lacking
        )
        yield from _model_metrics(now.models)
        yield GaugeMetricFamily("streamapp_recordings_active", "Recordings being written.", now.recordings_active)
        yield GaugeMetricFamily("streamapp_recordings_bytes", "Disk space of all recordings.", now.recordings_bytes)
        yield _labelled(
            CounterMetricFamily,
            "streamapp_recordings_ended",
            "Recordings ended: complete, or because the disk was full or failed.",
            "state",
            now.recordings_ended_by_state,
        )
        yield CounterMetricFamily("streamapp_recordings_removed", "Removed for age or size.", now.recordings_removed)
        if now.events is not None:
            yield from _event_metrics(now.events)


def _model_metrics(now: ModelFigures) -> Iterable[Metric]:
    yield GaugeMetricFamily("streamapp_model_budget_bytes", "Memory the models may take.", now.budget_bytes)
    yield CounterMetricFamily("streamapp_model_loads", "Models loaded since the start.", now.loads)
    for family, name, documentation, label, values in (
        (GaugeMetricFamily, "model_memory_bytes", "Memory of the models.", "owner", now.bytes_by_owner),
        (CounterMetricFamily, "model_evictions", "Models unloaded.", "reason", now.evictions_by_reason),
        (GaugeMetricFamily, "jobs_queued", "Jobs that wait.", "class", now.queued_by_class),
        (GaugeMetricFamily, "jobs_oldest_seconds", "Age of the oldest job that waits.", "class", now.oldest_s_by_class),
        (CounterMetricFamily, "jobs_done", "Jobs done.", "operation", now.done_by_operation),
        (CounterMetricFamily, "jobs_failed", "Jobs that failed.", "operation", now.failed_by_operation),
        (GaugeMetricFamily, "batch_seconds", "Median of the last batches.", "operation", now.run_s_by_operation),
        (CounterMetricFamily, "jobs_dropped", "Jobs dropped.", "reason", now.jobs_dropped_by_reason),
        (CounterMetricFamily, "keyframes", "Frames escalated.", "reason", now.keyframes_by_reason),
    ):
        yield _labelled(family, f"streamapp_{name}", documentation, label, values)


def _event_metrics(now: EventFigures) -> Iterable[Metric]:
    for family, name, documentation, label, values in (
        (CounterMetricFamily, "events", "What happened on the streams.", "kind", now.by_kind),
        (CounterMetricFamily, "events_dropped", "Events not kept.", "reason", now.dropped_by_reason),
        (GaugeMetricFamily, "events_waiting", "Events that wait for a target.", "target", now.waiting_by_target),
    ):
        yield _labelled(family, f"streamapp_{name}", documentation, label, values)
    yield CounterMetricFamily("streamapp_events_missed", "Events that listeners were too slow for.", now.missed)
    sent = CounterMetricFamily(
        "streamapp_event_deliveries", "Events sent, or not, to targets.", labels=["target", "outcome"]
    )
    for labels, count in now.outcomes.items():
        sent.add_metric(labels, count)
    yield sent


def exposition(snapshot: Snapshot) -> bytes:
    """The snapshot in Prometheus' text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


def _labelled(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    documentation: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    metric = family(name, documentation, labels=[label])
    for value, number in values.items():
        metric.add_metric([value], number)
    return metric
