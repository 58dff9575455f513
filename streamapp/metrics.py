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
