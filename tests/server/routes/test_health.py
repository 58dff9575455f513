"""What the server says of itself."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamapp.sections import ModelSettings
from tests.fakes import ScriptedSource
from tests.server.conftest import Bench, StartBench
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack
from tests.weights import SHORT_RANGE, weights_of


async def test_alive_is_said_whatever_is_missing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.get("/health")
        assert response.status_code == 200
        body = response.json()
        assert body["status"] == "alive"
        screener = body["services"]["mediapipe"]
        assert set(screener) >= {"status", "model_loaded", "memory_mb", "provider", "licence"}
        systems = ["mediapipe", "yolo", "mtcnn", "recognition", "antispoof", "gender_age", "deepfake"]
        assert list(body["services"]) == systems


async def test_ready_names_what_is_missing(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(models=ModelSettings(dir=tmp_path)) as bench:
        response = await bench.http.get("/ready")
        assert response.status_code == 503
        assert not response.json()["ready"]
        assert "streamapp models pull" in response.json()["missing"][0]
        status = (await bench.http.get("/status")).json()
        assert status["overall_status"] == "degraded"
        assert status["services"] == {"total": 7, "healthy": 0, "unhealthy": 7}
        assert (await bench.http.get("/health")).json()["services"]["mediapipe"]["status"] == "unhealthy"


@pytest.mark.weights
async def test_ready_with_the_weights_in_place(start_bench: StartBench) -> None:
    folder = weights_of(*SHORT_RANGE)[1].parent
    async with start_bench(models=ModelSettings(dir=folder)) as bench:
        response = await bench.http.get("/ready")
        assert (response.status_code, response.json()) == (200, {"ready": True, "missing": []})
        screener = (await bench.http.get("/health")).json()["services"]["mediapipe"]
        assert (screener["status"], screener["model_loaded"]) == ("healthy", False)
        assert screener["licence"] == "Apache-2.0"
        assert screener["memory_mb"] > 10


async def test_a_broken_stream_degrades_the_status(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.runtime.open_stream("broken", lambda numbering: ScriptedSource(numbering, 0, error=RuntimeError("bug")))
        await until(lambda: bench.runtime.streams["broken"].status.state == "failed")
        status = (await bench.http.get("/status")).json()
        assert status["overall_status"] == "degraded"
        assert [stream["name"] for stream in status["streams"]] == ["broken"]
        assert status["gpu"] is None


async def figures(bench: Bench) -> dict[str, float]:
    """The metrics as name{labels} to value."""
    response = await bench.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]
    return {f"{s.name}{sorted(s.labels.items()) if s.labels else ''}": s.value for s in samples}


async def test_metrics_follow_what_happens(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        before = await figures(bench)
        assert before["streamapp_publishers"] == before["streamapp_results_total"] == 0
        bench.add_numbered()
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        peer.open_channel()
        await peer.connect()
        await until(lambda: len(peer.results) >= 10)
        during = await figures(bench)
        assert during["streamapp_publishers"] == 1
        assert during["streamapp_streams[('state', 'live')]"] == 2
        assert during["streamapp_results_total"] >= 20
        assert 0 < during["streamapp_latency_seconds[('quantile', '0.95')]"] < 5
        await peer.delete()
        await bench.runtime.close_stream("door")
        after = await figures(bench)
        assert after["streamapp_results_total"] >= during["streamapp_results_total"], "counters never fall"
        assert after["streamapp_publishers"] == 0
        await peer.close()


async def test_no_name_of_anything_becomes_a_label(start_bench: StartBench) -> None:
    """However many streams there were, the number of series is the same."""
    async with start_bench() as bench:
        hold = asyncio.Event()
        before = set(await figures(bench))
        for number in range(8):
            bench.runtime.open_stream(f"door-{number}", lambda numbering: ScriptedSource(numbering, 0, hold=hold))
        text = (await bench.http.get("/metrics")).text
        assert "door" not in text
        assert set(await figures(bench)) == before
        assert set(re.findall(r'(\w+)="', text)) == {"version", "state", "reason", "owner", "class"}
        hold.set()
