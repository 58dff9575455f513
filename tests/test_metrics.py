"""The figures in Prometheus' text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from streamapp.metrics import EventFigures, ModelFigures, Snapshot, exposition

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
    systems_lacking=1,
    models=ModelFigures(
        budget_bytes=400_000_000,
        bytes_by_owner={"context": 0, "yolov10n-face/weights": 9_000_000},
        loads=3,
        evictions_by_reason={"room": 1},
        queued_by_class={"new_face": 2},
        oldest_s_by_class={"new_face": 0.25},
        done_by_operation={"yolov10n-face": 40},
        failed_by_operation={"yolov10n-face": 1},
        run_s_by_operation={"yolov10n-face": 0.03},
        jobs_dropped_by_reason={"queue_full": 4},
        keyframes_by_reason={"new_track": 6},
    ),
    events=EventFigures(
        by_kind={"appeared": 3, "left": 2},
        dropped_by_reason={"queue_full": 1},
        missed=4,
        outcomes={("alarm", "delivered"): 5, ("alarm", "given_up"): 0},
        waiting_by_target={"alarm": 2},
    ),
    recordings_active=1,
    recordings_bytes=5_000_000,
    recordings_ended_by_state={"complete": 2, "disk_full": 1},
    recordings_removed=4,
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
        ("streamapp_systems_lacking",): 1,
        ("streamapp_viewers",): 3,
        ("streamapp_latency_seconds", "0.5"): 0.003,
        ("streamapp_model_budget_bytes",): 400_000_000,
        ("streamapp_model_memory_bytes", "context"): 0,
        ("streamapp_model_memory_bytes", "yolov10n-face/weights"): 9_000_000,
        ("streamapp_model_loads_total",): 3,
        ("streamapp_model_evictions_total", "room"): 1,
        ("streamapp_jobs_queued", "new_face"): 2,
        ("streamapp_jobs_oldest_seconds", "new_face"): 0.25,
        ("streamapp_jobs_done_total", "yolov10n-face"): 40,
        ("streamapp_jobs_failed_total", "yolov10n-face"): 1,
        ("streamapp_batch_seconds", "yolov10n-face"): 0.03,
        ("streamapp_jobs_dropped_total", "queue_full"): 4,
        ("streamapp_keyframes_total", "new_track"): 6,
        ("streamapp_events_total", "appeared"): 3,
        ("streamapp_events_total", "left"): 2,
        ("streamapp_events_dropped_total", "queue_full"): 1,
        ("streamapp_events_missed_total",): 4,
        ("streamapp_events_waiting", "alarm"): 2,
        ("streamapp_event_deliveries_total", "delivered", "alarm"): 5,
        ("streamapp_event_deliveries_total", "given_up", "alarm"): 0,
        ("streamapp_recordings_active",): 1,
        ("streamapp_recordings_bytes",): 5_000_000,
        ("streamapp_recordings_ended_total", "complete"): 2,
        ("streamapp_recordings_ended_total", "disk_full"): 1,
        ("streamapp_recordings_removed_total",): 4,
    }
    assert families["streamapp_dropped"].type == "counter"
    assert all(family.documentation for family in families.values())
