"""Streams over HTTP: adding, listing, reading and removing them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from streamapp.results import FrameResult
from streamapp.sections import ServerSettings
from streamapp.server import streaming
from tests.fakes import NumberedSource, ScriptedSource
from tests.server.conftest import FACE, Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.waiting import until


def use_scripted_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, numbered pictures come."""
    source_at = "streamapp.server.added_streams.source_at"
    monkeypatch.setattr(source_at, lambda address, numbering, settings, loop: NumberedSource(numbering))


async def add(bench: Bench, **wanted: Any) -> httpx.Response:
    return await bench.http.post("/streams", json=wanted)


# -- adding and listing ------------------------------------------------------------------------------------------------


async def test_a_stream_is_added_shown_and_removed(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    use_scripted_sources(monkeypatch)
    async with start_bench() as bench:
        assert (await bench.http.get("/streams")).json() == []
        added = await add(bench, name="door", source="rtsp://admin:secret@camera.lan/live?token=hidden")
        assert added.status_code == 201
        assert added.headers["location"] == "/streams/door"
        assert added.json()["state"] == "connecting"
        await until(lambda: bench.runtime.streams["door"].frames >= 3)
        shown = (await bench.http.get("/streams/door")).json()
        assert (shown["name"], shown["mode"], shown["state"]) == ("door", "fast", "live")
        assert (shown["width"], shown["height"]) == (320, 240)
        assert shown["frames"] >= 3
        listed = (await bench.http.get("/streams")).json()
        assert [stream["name"] for stream in listed] == ["door"]
        assert "secret" not in str(listed)
        assert "hidden" not in str(listed)
        assert (await bench.http.delete("/streams/door")).status_code == 204
        assert problem(await bench.http.get("/streams/door")) == "not_found"


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"name": "a/b", "source": "demo"}, 422, "request_invalid"),
        ({"name": "../x", "source": "demo"}, 422, "request_invalid"),
        ({"name": "", "source": "demo"}, 422, "request_invalid"),
        ({"name": "x" * 65, "source": "demo"}, 422, "request_invalid"),
        ({"name": "door"}, 422, "request_invalid"),
        ({"name": "door", "source": "demo", "mode": "magic"}, 422, "request_invalid"),
        ({"name": "door", "source": "demo", "extra": 1}, 422, "request_invalid"),
        ({"name": "door", "source": "rtsp://x/" + "y" * 3000}, 422, "request_invalid"),
        ({"name": "door", "source": "http://camera/"}, 400, "source_url_invalid"),
        ({"name": "door", "source": "/etc/passwd"}, 400, "source_url_invalid"),
        ({"name": "door", "source": "file:../../etc/passwd"}, 400, "source_url_invalid"),
        ({"name": "door", "source": "concat:a|b"}, 400, "source_url_invalid"),
        ({"name": "door", "source": "webcam:0"}, 400, "source_url_invalid"),
        ({"name": "door", "source": "rtsp://169.254.169.254/"}, 400, "source_url_invalid"),
    ],
)
async def test_bad_requests(start_bench: StartBench, wanted: dict[str, Any], status: int, code: str) -> None:
    async with start_bench() as bench:
        response = await add(bench, **wanted)
        assert (response.status_code, problem(response)) == (status, code)
        assert not bench.runtime.streams


async def test_what_is_no_json_is_refused(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        headers = {"Content-Type": "application/json"}
        assert problem(await bench.http.post("/streams", content=b"{", headers=headers)) == "request_invalid"
        plain = await bench.http.post("/streams", content=b"name=door", headers={"Content-Type": "text/plain"})
        assert plain.status_code == 422, "a form of another page could send this"
        large = json.dumps({"name": "door", "source": "x" * 20_000}).encode()
        assert problem(await bench.http.post("/streams", content=large, headers=headers)) == "body_too_large"

        async def chunks() -> AsyncIterator[bytes]:
            yield large

        assert problem(await bench.http.post("/streams", content=chunks(), headers=headers)) == "body_too_large"
        assert not bench.runtime.streams


async def test_a_name_is_given_once(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    use_scripted_sources(monkeypatch)
    async with start_bench() as bench:
        assert (await add(bench, name="door", source="demo")).status_code == 201
        response = await add(bench, name="door", source="demo")
        assert (response.status_code, problem(response)) == (409, "conflict")


async def test_there_is_a_limit(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    use_scripted_sources(monkeypatch)
    async with start_bench(server=ServerSettings(max_streams=2)) as bench:
        statuses = [(await add(bench, name=f"s{n}", source="demo")).status_code for n in range(3)]
        assert statuses == [201, 201, 503]
        assert "retry-after" in (await add(bench, name="s3", source="demo")).headers


async def test_files_come_from_the_media_folders_only(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_scripted_sources(monkeypatch)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    async with start_bench(server=ServerSettings(media_dirs=(tmp_path,))) as bench:
        assert (await add(bench, name="clip", source="file:clip.mp4")).status_code == 201
        assert problem(await add(bench, name="other", source="file:none.mp4")) == "source_url_invalid"


async def test_a_state_says_why(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.runtime.open_stream("broken", lambda numbering: ScriptedSource(numbering, 0, error=RuntimeError("bug")))
        await until(lambda: bench.runtime.streams["broken"].status.state == "failed")
        shown = (await bench.http.get("/streams/broken")).json()
        assert (shown["state"], shown["code"]) == ("failed", "internal")
        assert "RuntimeError" in shown["reason"]


# -- why a face is called what it is called ----------------------------------------------------------------------------


async def test_a_track_explains_itself_and_only_while_it_is_there(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_scripted_sources(monkeypatch)
    async with start_bench() as bench:
        await add(bench, name="door", source="demo")
        door = bench.runtime.streams["door"]
        await until(lambda: door.latest is not None and door.latest.result.tracks)
        why = (await bench.http.get("/streams/door/tracks/1/why")).json()
        assert (why["stream"], why["track"]["id"], why["identity"]) == ("door", 1, None)
        assert problem(await bench.http.get("/streams/door/tracks/99/why")) == "not_found"
        assert problem(await bench.http.get("/streams/nowhere/tracks/1/why")) == "not_found"
        newest = (await bench.http.get("/streams/door/tracks")).json()
        assert FrameResult.from_json(json.dumps(newest)).tracks[0].id == 1
        assert problem(await bench.http.get("/streams/nowhere/tracks")) == "not_found"
        assert (await bench.http.get("/streams/door/tracks/one/why")).status_code == 422


# -- events ------------------------------------------------------------------------------------------------------------


def parsed(event: str) -> tuple[str, Any]:
    name, data = event.strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_events_are_results_and_states(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        events = streaming.events(session)
        read = [parsed(await anext(events)) for _ in range(12)]
        states = [data["state"] for name, data in read if name == "status"]
        assert states[-1] == "live"
        results = [FrameResult.from_json(json.dumps(data)) for name, data in read if name == "result"]
        assert len(results) >= 10
        assert all(result.stream == "door" for result in results)
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
        await until(lambda: not session.sinks)


async def test_a_slow_reader_gets_the_newest_result(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        events = streaming.events(session)
        await anext(events)
        seen = session.frames
        await until(lambda: session.frames >= seen + 20)
        frames = [data["frame"] for name, data in [parsed(await anext(events)) for _ in range(3)] if name == "result"]
        assert frames[-1] >= seen + 15, "nothing is queued up"
        await events.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_events_end_with_the_stream(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        events = streaming.events(session)
        await anext(events)
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.runtime.close_stream("door"))
            rest = [event async for event in events]
        assert len(rest) < 10


async def test_a_stream_that_is_over_has_no_more_events(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.runtime.open_stream("short", lambda numbering: ScriptedSource(numbering, 2))
        await until(lambda: bench.runtime.streams["short"].status.state == "ended")
        await bench.runtime.wait_closed("short")
        response = await bench.http.get("/streams/short/events")
        assert response.headers["content-type"].startswith("text/event-stream")
        assert parsed(response.text)[1]["state"] == "ended"
        assert (await bench.http.get("/streams/short/mjpeg")).content == b""


# -- pictures ----------------------------------------------------------------------------------------------------------


def face_is_marked(jpeg: bytes) -> bool:
    """Whether there is colour where the box is, in a grey picture."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    x1, y1, x2, _ = (int(edge) for edge in FACE)
    edge = picture[y1, x1:x2].astype(int)
    return bool(np.ptp(edge, axis=1).mean() > 15)


async def test_a_snapshot_shows_the_newest_picture_with_its_faces(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        await until(lambda: session.frames >= 5)
        response = await bench.http.get("/streams/door/snapshot.jpg")
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["cache-control"] == "no-store"
        assert face_is_marked(response.content)


async def test_without_a_picture_yet_there_is_no_snapshot(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        hold = asyncio.Event()
        bench.runtime.open_stream("dark", lambda numbering: ScriptedSource(numbering, 0, hold=hold))
        response = await bench.http.get("/streams/dark/snapshot.jpg")
        assert (response.status_code, problem(response)) == (503, "overloaded")
        assert "retry-after" in response.headers
        hold.set()


async def test_motion_jpeg_is_one_picture_after_another(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        parts = streaming.motion_jpeg(session)
        read = [await anext(parts) for _ in range(5)]
        for part in read[2:]:
            head, _, body = part.partition(b"\r\n\r\n")
            assert head.startswith(b"--frame\r\nContent-Type: image/jpeg")
            assert f"Content-Length: {len(body) - 2}".encode() in head
            assert face_is_marked(body)
        await parts.aclose()  # type: ignore[attr-defined]  # an async generator
        await until(lambda: not session.sinks)


@pytest.mark.parametrize("path", ["", "/events", "/snapshot.jpg", "/mjpeg"])
async def test_what_is_not_there_is_not_found(start_bench: StartBench, path: str) -> None:
    async with start_bench() as bench:
        response = await bench.http.get(f"/streams/nowhere{path}")
        assert (response.status_code, problem(response)) == (404, "not_found")


async def test_a_keyframe_can_be_asked_for_where_there_are_any(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        refused = await bench.http.post("/streams/door/keyframe")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert (await bench.http.post("/streams/nobody/keyframe")).status_code == 404
        asked: list[bool] = []

        class Escalation:
            def ask(self) -> None:
                asked.append(True)

        bench.runtime.stream("door").escalator = Escalation()  # type: ignore[assignment]  # all that the route needs
        assert (await bench.http.post("/streams/door/keyframe")).status_code == 202
        bench.runtime.stream("door").escalator = None
        assert asked == [True]
