"""Streams changed and sources tried over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamapp.pipeline.session import StreamSession
from streamapp.sections import ServerSettings
from streamapp.sources.base import FrameNumbering
from streamapp.sources.trial import Outcome, Pictures, Step, StepResult, Trial
from streamapp.sources.url import SourceAddress
from tests.fakes import NumberedSource
from tests.server.conftest import Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.waiting import until

CAMERA = "rtsp://admin:s3cr3t@camera.lan/live"
SHOWN = "rtsp://***@camera.lan:554/live"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[SourceAddress]:
    """Every address that is opened; whatever it is, numbered pictures come."""
    addresses: list[SourceAddress] = []

    def source_at(address: SourceAddress, numbering: FrameNumbering, *, settings: object, loop: bool) -> NumberedSource:
        addresses.append(address)
        return NumberedSource(numbering, codec="h264")

    monkeypatch.setattr("streamapp.server.added_streams.source_at", source_at)
    return addresses


async def add(bench: Bench, **wanted: Any) -> StreamSession:
    response = await bench.http.post("/streams", json={"name": "door", "source": CAMERA} | wanted)
    assert response.status_code == 201, response.text
    session = bench.runtime.streams[response.json()["name"]]
    await until(lambda: session.frames >= 3)
    return session


async def change(bench: Bench, stream: str = "door", /, **wanted: Any) -> dict[str, Any]:
    response = await bench.http.patch(f"/streams/{stream}", json=wanted)
    assert response.status_code == 200, response.text
    assert "s3cr3t" not in response.text
    answer: dict[str, Any] = response.json()
    return answer


def userinfo(address: SourceAddress) -> tuple[str | None, str | None]:
    assert address.rtsp is not None
    return address.rtsp.username, address.rtsp.password


async def test_the_path_changes_and_the_password_stays(start_bench: StartBench, opened: list[SourceAddress]) -> None:
    async with start_bench() as bench:
        first = await add(bench)
        answer = await change(bench, source="rtsp://***@camera.lan:554/sub")
        assert (answer["name"], answer["source"], answer["mode"]) == ("door", "rtsp://***@camera.lan:554/sub", "fast")
        assert answer["added"]
        second = bench.runtime.streams["door"]
        assert second is not first
        await until(lambda: second.frames >= 3)
        assert first.status.state == "closed"
    assert opened[-1].rtsp is not None
    assert opened[-1].rtsp.resource == "/sub"
    assert userinfo(opened[-1]) == ("admin", "s3cr3t")


async def test_a_stream_gets_another_name_and_depth_and_keeps_its_source(
    start_bench: StartBench, opened: list[SourceAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_bench() as bench:
        await add(bench)
        answer = await change(bench, name="gate", mode="standard")
        assert (answer["name"], answer["mode"], answer["source"]) == ("gate", "standard", SHOWN)
        assert list(bench.runtime.streams) == ["gate"]
        await until(lambda: len(opened) == 2)
        assert userinfo(opened[1]) == ("admin", "s3cr3t")
        assert problem(await bench.http.patch("/streams/door", json={"mode": "fast"})) == "not_found"
        await change(bench, "gate", source="rtsp://***@camera.lan/other")
        assert (await bench.http.delete("/streams/gate")).status_code == 204
        await add(bench, name="gate", source="demo")
        refused = await bench.http.patch("/streams/gate", json={"source": "rtsp://***@camera.lan/live"})
        assert problem(refused) == "source_url_invalid", "what was removed is forgotten"


async def test_what_stays_the_same_is_not_started_anew(start_bench: StartBench, opened: list[SourceAddress]) -> None:
    async with start_bench() as bench:
        session = await add(bench)
        for wanted in ({}, {"name": "door", "source": SHOWN, "mode": "fast"}, {"record": False}):
            assert (await change(bench, **wanted))["source"] == SHOWN
            assert bench.runtime.streams["door"] is session
    assert len(opened) == 1


async def test_a_recording_goes_on_as_a_new_one(
    start_bench: StartBench, opened: list[SourceAddress], tmp_path: Path
) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        await add(bench, record=True)
        before = (await bench.http.get("/streams/door")).json()["recording"]["id"]
        after = (await change(bench, mode="fast", name="gate"))["recording"]
        assert after["state"] == "recording"
        assert after["id"] != before
        assert (await change(bench, "gate", record=False))["recording"] is None
        assert (await change(bench, "gate", record=True))["recording"]["state"] == "recording"
        assert (await change(bench, "gate", name="door", record=False))["recording"] is None
        listed = (await bench.http.get("/recordings")).json()["recordings"]
        assert {entry["state"] for entry in listed} == {"complete"}


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"name": "other"}, 409, "conflict"),
        ({"name": "a/b"}, 422, "request_invalid"),
        ({"mode": "magic"}, 422, "request_invalid"),
        ({"speed": 2}, 422, "request_invalid"),
        ({"source": ""}, 422, "request_invalid"),
        ({"source": "/etc/passwd"}, 400, "source_url_invalid"),
        ({"source": "rtsp://***@evil.test:554/live"}, 400, "source_url_invalid"),
        ({"source": "rtsp://8.8.8.8/live"}, 403, "source_forbidden"),
    ],
)
async def test_a_refused_change_changes_nothing(
    start_bench: StartBench, opened: list[SourceAddress], wanted: dict[str, Any], status: int, code: str
) -> None:
    async with start_bench() as bench:
        session = await add(bench)
        await add(bench, name="other", source="demo")
        response = await bench.http.patch("/streams/door", json={"mode": "standard"} | wanted)
        assert (response.status_code, problem(response)) == (status, code)
        assert "s3cr3t" not in response.text
        assert bench.runtime.streams["door"] is session
        assert session.status.state == "live"


async def test_a_browsers_camera_is_its_own(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered("webcam")
        response = await bench.http.patch("/streams/webcam", json={"mode": "full"})
        assert (response.status_code, problem(response)) == (409, "conflict")
        assert not (await bench.http.get("/streams/webcam")).json()["added"]
        assert problem(await bench.http.patch("/streams/nowhere", json={})) == "not_found"
        assert (await bench.http.delete("/streams/webcam")).status_code == 204


async def test_nobody_takes_the_name_or_the_place_in_between(
    start_bench: StartBench, opened: list[SourceAddress]
) -> None:
    async with start_bench(server=ServerSettings(max_streams=1)) as bench:
        await add(bench)
        async with asyncio.TaskGroup() as group:
            changing = group.create_task(bench.http.patch("/streams/door", json={"name": "gate"}))
            others = []
            while not changing.done():
                await asyncio.sleep(0)  # a request that is refused at once lets nobody else run
                for name in ("gate", "third"):
                    others.append(await bench.http.post("/streams", json={"name": name, "source": "demo"}))
        assert changing.result().status_code == 200
        assert {other.status_code for other in others} == {503}
        assert list(bench.runtime.streams) == ["gate"]


# -- trials ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[SourceAddress]:
    """Every address that is tried; each works."""
    addresses: list[SourceAddress] = []

    async def try_source(address: SourceAddress, settings: object) -> Trial:
        addresses.append(address)
        steps = (StepResult(Step.ADDRESS, Outcome.PASSED, f"rtsp://a:s3cr3t@x and {address.redacted}"),)
        return Trial(steps, None, Pictures(120.5, 640, 480, "h264", 25.0))

    monkeypatch.setattr("streamapp.server.added_streams.try_source", try_source)
    return addresses


async def test_a_source_is_tried_and_nothing_is_added(start_bench: StartBench, tried: list[SourceAddress]) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/streams/test", json={"source": CAMERA})
        assert response.status_code == 200
        assert response.json() == {
            "works": True,
            "code": None,
            "reason": None,
            "steps": [{"step": "address", "outcome": "passed", "detail": f"rtsp://***@x and {SHOWN}"}],
            "first_picture_ms": 120.5,
            "width": 640,
            "height": 480,
            "codec": "h264",
            "fps": 25.0,
        }
        assert not bench.runtime.streams
    assert userinfo(tried[0]) == ("admin", "s3cr3t")


async def test_the_hidden_password_of_a_stream_is_tried_at_its_place_only(
    start_bench: StartBench, opened: list[SourceAddress], tried: list[SourceAddress]
) -> None:
    async with start_bench() as bench:
        await add(bench)
        for wanted in ({}, {"source": SHOWN}, {"source": "rtsp://***@camera.lan/sub"}):
            response = await bench.http.post("/streams/test", json={"stream": "door"} | wanted)
            assert response.json()["works"]
            assert userinfo(tried[-1]) == ("admin", "s3cr3t")
        elsewhere = {"stream": "door", "source": "rtsp://***@other.lan/live"}
        answer = (await bench.http.post("/streams/test", json=elsewhere)).json()
        assert (answer["works"], answer["code"]) == (False, "source_url_invalid")
        assert [(step["step"], step["outcome"]) for step in answer["steps"]] == [("address", "failed")]
        assert len(tried) == 3
        assert problem(await bench.http.post("/streams/test", json={"stream": "nowhere"})) == "not_found"


@pytest.mark.parametrize("wanted", [{}, {"source": ""}, {"source": "demo", "mode": "full"}, {"stream": "a/b"}])
async def test_bad_trial_requests(start_bench: StartBench, wanted: dict[str, Any]) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/streams/test", json=wanted)
        assert (response.status_code, problem(response)) == (422, "request_invalid")


async def test_only_so_many_are_tried_at_once(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = [], asyncio.Event()

    async def try_source(address: SourceAddress, settings: object) -> Trial:
        begun.append(address)
        await go_on.wait()
        return Trial((), None, None)

    monkeypatch.setattr("streamapp.server.added_streams.try_source", try_source)
    async with start_bench() as bench, asyncio.TaskGroup() as group:
        running = [group.create_task(bench.http.post("/streams/test", json={"source": "demo"})) for _ in range(2)]
        await until(lambda: len(begun) == 2)
        response = await bench.http.post("/streams/test", json={"source": "demo"})
        assert (response.status_code, problem(response)) == (503, "overloaded")
        assert "retry-after" in response.headers
        go_on.set()
        await asyncio.wait(running)
        assert (await bench.http.post("/streams/test", json={"source": "demo"})).status_code == 200
