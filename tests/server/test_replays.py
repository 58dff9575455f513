"""Recordings decided again over HTTP: one at a time, beside the streams, stopped at any moment."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from streamapp.errors import ModelMissing
from streamapp.server import replays
from streamapp.sources.base import FrameNumbering, Outlet
from tests.fakes import NumberedSource, ScriptedScreener
from tests.server.conftest import FACE, Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.waiting import until

ELSEWHERE = (10.0, 10.0, 60.0, 70.0)


class HeldSource(NumberedSource):
    """Sends nothing before `begin`."""

    def __init__(self, numbering: FrameNumbering, begin: asyncio.Event) -> None:
        super().__init__(numbering, codec="h264")
        self._begin = begin

    async def run(self, outlet: Outlet) -> None:
        await self._begin.wait()
        await super().run(outlet)


async def recorded(bench: Bench, name: str = "door") -> dict[str, Any]:
    """A recording from the first picture on, ended: it is decided again exactly."""
    begin = asyncio.Event()
    bench.runtime.open_stream(name, lambda numbering: HeldSource(numbering, begin))
    assert (await bench.http.post(f"/streams/{name}/recording")).status_code == 201
    begin.set()
    await until(lambda: any(entry.seconds >= 1 for entry in bench.runtime.recordings.active.values()))
    entry: dict[str, Any] = (await bench.http.delete(f"/streams/{name}/recording")).json()
    await bench.http.delete(f"/streams/{name}")
    return entry


async def replay(bench: Bench, entry: dict[str, Any], state: str = "done") -> dict[str, Any]:
    """What it found, once it is over."""
    path = f"/recordings/{entry['id']}/replay"
    begun = await bench.http.post(path)
    assert (begun.status_code, begun.json()["state"]) == (202, "running")
    assert begun.headers["location"] == path
    async with asyncio.timeout(20):
        while (found := (await bench.http.get(path)).json())["state"] == "running":  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.01)
    assert found["state"] == state, found["reason"]
    told: dict[str, Any] = found
    return told


def gated(bench: Bench) -> threading.Event:
    """Screeners opened from now on wait for this."""
    gate = threading.Event()
    bench.runtime.make_screener = lambda: ScriptedScreener([[FACE]], gate=gate)
    return gate


async def test_the_same_is_decided_again(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        assert problem(await bench.http.get(f"/recordings/{entry['id']}/replay")) == "not_found"
        found = await replay(bench, entry)
        assert (found["frames"], found["total"]) == (entry["results"], entry["results"])
        assert (found["by_field"], found["different_frames"], found["differences"]) == ({}, 0, [])
        assert found["as_scheduled"] is True
        assert not bench.runtime.streams, "it is none of the streams"


async def test_what_differs_is_told_with_its_time(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        bench.runtime.make_screener = lambda: ScriptedScreener([[ELSEWHERE]])
        found = await replay(bench, entry)
        lines = (await bench.http.get(f"/recordings/{entry['id']}/results")).text.splitlines()[1:]
        assert found["different_frames"] == len([line for line in lines if '"tracks":[]' not in line])
        assert found["by_field"]["box"] == found["different_frames"]
        first = next(one for one in found["differences"] if one["field"] == "box")
        assert f'"frame":{first["frame"]},"pts_s":{first["pts_s"]}' in "".join(lines).replace(" ", "")
        assert first["was"] != first["now"]


async def test_differences_are_counted_all_and_told_up_to_a_limit(
    start_bench: StartBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "MAX_DIFFERENCES", 3)
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        bench.runtime.make_screener = lambda: ScriptedScreener([[ELSEWHERE]])
        found = await replay(bench, entry)
        assert len(found["differences"]) == 3
        assert sum(found["by_field"].values()) > 3


async def test_one_at_a_time_stopped_and_begun_anew(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        first, second = await recorded(bench), await recorded(bench, "yard")
        gate = gated(bench)
        path = f"/recordings/{first['id']}/replay"
        assert (await bench.http.post(path)).status_code == 202
        for entry in (first, second):
            assert problem(await bench.http.post(f"/recordings/{entry['id']}/replay")) == "conflict"
        assert (await bench.http.get(path)).json()["state"] == "running"
        assert (await bench.http.delete(path)).status_code == 204
        assert problem(await bench.http.get(path)) == "not_found"
        gate.set()
        assert (await replay(bench, second))["by_field"] == {}
        assert (await replay(bench, first))["by_field"] == {}
        assert (await replay(bench, first))["by_field"] == {}


async def test_a_replay_goes_with_its_recording_and_ends_with_the_app(start_bench: StartBench, tmp_path: Path) -> None:
    gate = threading.Event()
    async with start_bench(recordings=tmp_path) as bench:
        first, second = await recorded(bench), await recorded(bench, "yard")
        gate = gated(bench)
        for entry in (first, second):
            assert (await bench.http.post(f"/recordings/{entry['id']}/replay")).status_code == 202
            if entry is first:
                assert (await bench.http.delete(f"/recordings/{entry['id']}")).status_code == 204
                assert problem(await bench.http.get(f"/recordings/{entry['id']}/replay")) == "not_found"
    gate.set()


async def test_what_cannot_be_replayed_says_why(
    start_bench: StartBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        for name in ("absent", "..%2fx"):
            for method in ("GET", "POST"):
                assert (await bench.http.request(method, f"/recordings/{name}/replay")).status_code == 404

        def missing() -> ScriptedScreener:
            raise ModelMissing("no model; run `streamapp models pull`")

        bench.runtime.make_screener = missing
        failed = await replay(bench, entry, "failed")
        assert (failed["code"], failed["reason"]) == ("model_missing", "no model; run `streamapp models pull`")
        monkeypatch.setattr(replays, "MAX_RESULTS", 5)
        refused = await bench.http.post(f"/recordings/{entry['id']}/replay")
        assert (refused.status_code, problem(refused)) == (400, "usage")
        assert f"{entry['results']} results" in refused.json()["detail"]


async def test_a_recording_that_is_on_cannot_be_replayed(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        bench.add_numbered(codec="h264")
        entry = (await bench.http.post("/streams/door/recording")).json()
        assert problem(await bench.http.post(f"/recordings/{entry['id']}/replay")) == "conflict"


async def test_a_fault_of_ours_ends_the_replay_alone(
    start_bench: StartBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_bench(recordings=tmp_path) as bench:
        entry = await recorded(bench)
        session = bench.add_numbered("yard")

        def broken(_: Path) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(replays, "open_clip", broken)
        assert (await replay(bench, entry, "failed"))["code"] == "internal"
        seen = session.frames
        await until(lambda: session.frames > seen)
