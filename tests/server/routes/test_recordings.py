"""Recordings over HTTP: begun and ended at a stream, listed, played by ranges, deleted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import av
import pytest

from streamapp.sections import RecordingSettings
from tests.fakes import NumberedSource
from tests.recording.recorded import check_each_result_has_its_picture
from tests.server.conftest import Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.waiting import until
from tests.webrtc_peers import BadNetwork, NumberedTrack


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize(("codec", "ending"), [("video/H264", "mp4"), ("video/VP8", "webm")])
async def test_a_browser_by_webrtc(
    start_bench: StartBench, tmp_path: Path, codec: str, ending: str, loss: float
) -> None:
    """Also over a network that loses packets, each picture is exactly the one that was analysed."""
    async with start_bench(recordings=tmp_path) as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        peer.only(codec)
        await peer.connect()
        network = BadNetwork(peer.pc, loss=loss, jitter_s=0.0)
        (session,) = bench.runtime.streams.values()
        sink = bench.collect(session)
        await until(lambda: len(sink.outputs) > 20)
        started = (await bench.http.post(f"/streams/{session.name}/recording")).json()
        await until(lambda: any(e.seconds > 2.5 for e in bench.runtime.recordings.active.values()))
        stopped = (await bench.http.delete(f"/streams/{session.name}/recording")).json()
        assert stopped["parts"][0]["file"] == f"video-1.{ending}"
        assert check_each_result_has_its_picture(tmp_path / started["id"], sink.outputs) > 10
        assert (network.lost > 0) == (loss > 0)
        await peer.close()


async def recorded(bench: Bench, name: str = "door", seconds: float = 1.0) -> dict[str, Any]:
    """A recording of numbered pictures, ended."""
    bench.add_numbered(name, codec="h264")
    started = await bench.http.post(f"/streams/{name}/recording")
    assert started.status_code == 201
    await until(lambda: any(entry.seconds >= seconds for entry in bench.runtime.recordings.active.values()))
    stopped = await bench.http.delete(f"/streams/{name}/recording")
    assert stopped.status_code == 200
    await bench.http.delete(f"/streams/{name}")
    entry: dict[str, Any] = stopped.json()
    return entry


async def test_a_stream_says_that_it_is_recorded(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        bench.add_numbered(codec="h264")
        assert (await bench.http.get("/streams/door")).json()["recording"] is None
        started = await bench.http.post("/streams/door/recording")
        recording = started.json()["id"]
        assert started.headers["location"] == f"/recordings/{recording}"
        assert problem(await bench.http.post("/streams/door/recording")) == "conflict"
        await until(lambda: any(entry.seconds > 0.5 for entry in bench.runtime.recordings.active.values()))
        (shown,) = (await bench.http.get("/status")).json()["streams"]
        assert shown["recording"]["id"] == recording
        assert shown["recording"]["state"] == "recording"
        assert shown["recording"]["bytes"] > 100
        metrics = (await bench.http.get("/metrics")).text
        assert "streamapp_recordings_active 1.0" in metrics
        for path in ("video", "results"):
            assert problem(await bench.http.get(f"/recordings/{recording}/{path}")) == "conflict"
        assert problem(await bench.http.delete(f"/recordings/{recording}")) == "conflict"
        (listed,) = (await bench.http.get("/recordings")).json()["recordings"]
        assert (listed["id"], listed["state"]) == (recording, "recording")
        assert listed["bytes"] > 100
        await bench.http.delete("/streams/door/recording")
        assert (await bench.http.get("/streams/door")).json()["recording"] is None
        assert problem(await bench.http.delete("/streams/door/recording")) == "not_found"
        assert 'streamapp_recordings_ended_total{state="complete"} 1.0' in (await bench.http.get("/metrics")).text


async def test_a_stream_can_be_recorded_from_its_first_picture_on(
    start_bench: StartBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_at = "streamapp.server.added_streams.source_at"
    monkeypatch.setattr(source_at, lambda address, numbering, settings, loop: NumberedSource(numbering, codec="h264"))
    async with start_bench(recordings=tmp_path) as bench:
        added = await bench.http.post("/streams", json={"name": "door", "source": "demo", "record": True})
        assert added.status_code == 201
        recording = added.json()["recording"]
        await until(lambda: any(entry.seconds >= 1 for entry in bench.runtime.recordings.active.values()))
        await bench.http.delete("/streams/door/recording")
        lines = (await bench.http.get(f"/recordings/{recording['id']}/results")).text.splitlines()
        assert json.loads(lines[1])["frame"] == 0


async def test_unknown_streams_and_recordings(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        assert problem(await bench.http.post("/streams/absent/recording")) == "not_found"
        assert problem(await bench.http.delete("/streams/absent/recording")) == "not_found"
        for name in ("absent", "..%2f..%2fetc%2fpasswd", "%2e%2e", "..%5cx", "a%00b", "CON"):
            for path in (name, f"{name}/video", f"{name}/results"):
                assert (await bench.http.get(f"/recordings/{path}")).status_code == 404
            assert (await bench.http.delete(f"/recordings/{name}")).status_code in (404, 405)


async def test_video_by_ranges(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        path = f"/recordings/{entry['id']}/video"
        whole = await bench.http.get(path)
        assert whole.status_code == 200
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert whole.headers["accept-ranges"] == "bytes"
        with av.open(io.BytesIO(whole.content), "r") as container:
            assert len(list(container.decode(video=0))) == entry["parts"][0]["pictures"]
        part = await bench.http.get(path, headers={"Range": "bytes=100-199"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
        assert part.content == whole.content[100:200]
        beyond = await bench.http.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
        assert beyond.status_code == 416
        assert problem(await bench.http.get(f"{path}?part=2")) == "not_found"
        assert (await bench.http.get(f"{path}?part=0")).status_code == 422


async def test_results_are_lines_of_json_behind_a_header(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        response = await bench.http.get(f"/recordings/{entry['id']}/results")
        assert response.headers["content-type"] == "application/x-ndjson"
        head, *lines = response.text.splitlines()
        header = json.loads(head)["recording"]
        assert (header["id"], header["stream"], header["mode"]) == (entry["id"], "door", "fast")
        assert header["start_pts_s"] == entry["parts"][0]["start_pts_s"]
        assert header["settings"]["pipeline"]["confirm_hits"] == 2
        assert all(model["task"] == "screen" for model in header["models"])
        assert len(lines) == entry["results"] > 10
        assert json.loads(lines[0])["stream"] == "door"


async def test_they_are_listed_by_pages_and_deleted(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        ids = [(await recorded(bench, seconds=0.2))["id"] for _ in range(3)][::-1]
        everything = (await bench.http.get("/recordings")).json()
        assert [one["id"] for one in everything["recordings"]] == ids
        assert everything["total"] == 3
        assert everything["bytes"] == sum(one["bytes"] for one in everything["recordings"]) > 0
        page = (await bench.http.get("/recordings?limit=1&offset=1")).json()
        assert [one["id"] for one in page["recordings"]] == ids[1:2]
        assert page["total"] == 3
        assert (await bench.http.get("/recordings?limit=0")).status_code == 422
        assert (await bench.http.delete(f"/recordings/{ids[0]}")).status_code == 204
        assert not (tmp_path / ids[0]).exists()
        assert problem(await bench.http.delete(f"/recordings/{ids[0]}")) == "not_found"
        assert problem(await bench.http.get(f"/recordings/{ids[0]}/video")) == "not_found"
        assert (await bench.http.get(f"/recordings/{ids[1]}")).json()["id"] == ids[1]


async def test_a_full_disk_is_told_at_once(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recording=RecordingSettings(dir=tmp_path, min_free_bytes=10**18)) as bench:
        bench.add_numbered(codec="h264")
        response = await bench.http.post("/streams/door/recording")
        assert response.status_code == 507
        assert problem(response) == "recording_failed"
        assert (await bench.http.get("/streams/door")).json()["recording"] is None
        assert (await bench.http.get("/recordings")).json()["total"] == 0


async def test_a_camera_is_recorded_without_what_opens_it(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        session = bench.add_numbered(codec="h264")
        session.description = "rtsp://***@camera.lan/live"
        started = (await bench.http.post("/streams/door/recording")).json()
        assert started["source"] == "rtsp://***@camera.lan/live"
