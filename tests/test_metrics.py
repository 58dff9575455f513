"""The figures in Prometheus' text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from streamapp.metrics import Snapshot, exposition

SNAPSHOT = Snapshot(
    version="1.2.3",
    uptime_s=12.5,
    memory_bytes=100_000_000,
    threads=7,
    open_files=20,
    streams_by_state={"live": 2, "failed": 0},
    frames=1234,
    dropped_by_reason={"stale": 5, "corrupt": 0},
    publishers=1,
    viewers=3,
    latency_s={"0.5": 0.003},
)


def test_every_figure_is_there_with_its_type_and_help() -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition(SNAPSHOT).decode())}
    values = {(sample.name, *sample.labels.values()): sample.value for f in families.values() for sample in f.samples}
    assert values == {
        ("streamapp_info", "1.2.3"): 1,
        ("streamapp_uptime_seconds",): 12.5,
        ("streamapp_memory_bytes",): 100_000_000,
        ("streamapp_threads",): 7,
        ("streamapp_open_files",): 20,
        ("streamapp_streams", "live"): 2,
        ("streamapp_streams", "failed"): 0,
        ("streamapp_results_total",): 1234,
        ("streamapp_dropped_total", "stale"): 5,
        ("streamapp_dropped_total", "corrupt"): 0,
        ("streamapp_publishers",): 1,
        ("streamapp_viewers",): 3,
        ("streamapp_latency_seconds", "0.5"): 0.003,
    }
    assert families["streamapp_dropped"].type == "counter"
    assert all(family.documentation for family in families.values())
