"""What happened, over HTTP: searched, told as it happens, in /status and in /metrics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamapp.choices import EventKind
from streamapp.event_settings import EventSettings
from streamapp.events.event import Event
from streamapp.events.event_log import EventLog
from streamapp.events.search import EventFilter
from streamapp.server import streaming
from tests.events.receiver import SECRET, Receiver, answer
from tests.events.scenes import ADA, NOW, event
from tests.events.test_store import files_of
from tests.fakes import ScriptedSource
from tests.server.conftest import Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.waiting import until


@pytest.fixture
def kept(tmp_path: Path) -> EventSettings:
    return EventSettings(file=tmp_path / "events.db", appear_s=0.1, gone_s=0.5)


def log_of(bench: Bench) -> EventLog:
    assert bench.runtime.events is not None
    return bench.runtime.events


async def found(bench: Bench, **query: Any) -> list[str]:
    """The ids of a search."""
    response = await bench.http.get("/events", params=query)
    assert response.status_code == 200, response.text
    return [one["id"] for one in response.json()["events"]]


def parsed(told: str) -> tuple[str, str, Any]:
    """Id, kind and data of a server-sent event."""
    fields = dict(line.split(": ", 1) for line in told.strip().split("\n"))
    return fields["id"], fields["event"], json.loads(fields["data"])


async def test_events_are_searched_by_time_person_stream_and_kind(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        events = [
            event(EventKind.APPEARED, at=NOW),
            event(EventKind.IDENTIFIED, at=NOW + 10, person_id=ADA, score=4.5),
            event(EventKind.LEFT, at=NOW + 20, person_id=ADA, stream="yard"),
            event(EventKind.STREAM_LOST, at=NOW + 30, stream="yard", because="source_timeout"),
        ]
        for one in events:
            log_of(bench).publish(one)
        first, second, third, fourth = (str(one.id) for one in events)
        assert await found(bench) == [fourth, third, second, first]
        assert await found(bench, stream="door") == [second, first]
        assert await found(bench, person=str(ADA)) == [third, second]
        assert await found(bench, kind=["left", "appeared"]) == [third, first]
        assert await found(bench, **{"from": NOW + 10, "to": NOW + 30}) == [third, second]
        iso = datetime.fromtimestamp(NOW + 10, UTC).isoformat()
        assert await found(bench, to=iso) == [first]
        assert await found(bench, stream="nothing' OR '1'='1") == []
        (shown,) = (await bench.http.get("/events", params={"kind": "identified"})).json()["events"]
        assert shown == {
            "id": second, "kind": "identified", "stream": "door", "at": NOW + 10, "visit": None, "track": None,
            "frame": None, "pts_s": None, "person_id": str(ADA), "name": None, "because": None, "score": 4.5,
            "duration_s": None, "identity": None,
        }  # fmt: skip


async def test_pages_follow_each_other(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        events = [event() for _ in range(25)]
        for one in events:
            log_of(bench).publish(one)
        seen: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor is not None:
            query = {"limit": 10} | ({"cursor": cursor} if cursor else {})
            page = (await bench.http.get("/events", params=query)).json()
            seen += [one["id"] for one in page["events"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert pages == 3
        assert seen == [str(one.id) for one in events[::-1]]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": 501}, {"kind": "arrived"}, {"person": "Ada"}, {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00"}, {"cursor": "1"}, {"stream": "x" * 65}, {"to": "9" * 400},
    ],
)  # fmt: skip
async def test_bad_questions(start_bench: StartBench, kept: EventSettings, query: dict[str, Any]) -> None:
    async with start_bench(events=kept) as bench:
        response = await bench.http.get("/events", params=query)
        assert (response.status_code, problem(response)) == (422, "request_invalid")


async def test_a_wrong_last_event_id_is_refused(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        response = await bench.http.get("/events/live", headers={"Last-Event-ID": "7"})
        assert problem(response) == "request_invalid"


async def next_event(told: AsyncIterator[str]) -> tuple[str, str, Any]:
    async for text in told:
        if text.startswith("id:"):
            return parsed(text)
    raise AssertionError("it ended")


async def test_events_are_told_as_they_happen(
    start_bench: StartBench, kept: EventSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.05)
    async with start_bench(events=kept) as bench:
        log = log_of(bench)
        told = streaming.live_events(log, EventFilter(kinds=frozenset({EventKind.LEFT})), None)
        assert await anext(told) == "retry: 2000\n\n"
        assert await anext(told) == ": quiet\n\n", "so that who has gone is noticed"
        log.publish(later(event(EventKind.APPEARED)))
        log.publish(one := later(event(EventKind.LEFT)))
        id_, kind, data = await next_event(told)
        assert (id_, kind, data["id"]) == (str(one.id), "left", str(one.id))
        await told.aclose()  # type: ignore[attr-defined]  # an async generator
        assert log.state.listeners == 0


def later(one: Event) -> Event:
    """With an id as of now: those of the scenes are of another time."""
    return Event(UUID(int=(1 << 127) | one.id.int), one.kind, one.stream, one.at)


async def test_who_comes_back_goes_on_where_it_was(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        log = log_of(bench)
        events = [event() for _ in range(5)]
        for one in events:
            log.publish(one)
        told = streaming.live_events(log, EventFilter(), events[1].id)
        await anext(told)
        assert [(await next_event(told))[0] for _ in range(3)] == [str(one.id) for one in events[2:]]
        log.publish(one := event())
        assert (await next_event(told))[0] == str(one.id)
        await told.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_stream_tells_who_came_and_went(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        session = bench.add_numbered("door")
        await until(lambda: log_of(bench).state.by_kind[EventKind.APPEARED] == 1)
        assert (await bench.http.get("/streams/door")).json()["sinks"] == 0, "nobody watches but the events"
        await bench.runtime.close_stream(session.name)
        left, appeared = (await bench.http.get("/events")).json()["events"]
        assert (appeared["kind"], left["kind"], left["because"]) == ("appeared", "left", "stream_ended")
        assert left["visit"] == appeared["id"]
        assert abs(appeared["at"] - datetime.now(UTC).timestamp()) < 60


async def test_a_stream_that_fails_is_lost(start_bench: StartBench, kept: EventSettings) -> None:
    async with start_bench(events=kept) as bench:
        bench.runtime.open_stream("bad", lambda numbering: ScriptedSource(numbering, 3, error=RuntimeError("bug")))
        await until(lambda: log_of(bench).state.by_kind[EventKind.STREAM_LOST] == 1)
        (lost,) = (await bench.http.get("/events", params={"kind": "stream_lost"})).json()["events"]
        assert (lost["stream"], lost["because"]) == ("bad", "internal")


async def test_status_and_metrics_tell_how_targets_are(start_bench: StartBench, tmp_path: Path) -> None:
    async with Receiver(lambda _: answer("500 No")).serve() as receiver:
        url = receiver.url.replace("//", "//user:hunter2@") + "/t0ken"
        hook = {"name": "alarm", "url": url, "secret": SECRET}
        chosen = EventSettings.model_validate({"file": tmp_path / "events.db", "webhooks": [hook]})
        async with start_bench(events=chosen) as bench:
            log_of(bench).publish(event())
            await until(lambda: log_of(bench).state.targets[0].retries == 1)
            response = await bench.http.get("/status")
            (target,) = response.json()["events"]["targets"]
            assert (target["name"], target["state"], target["error"]) == ("alarm", "failing", "it answered 500")
            assert (target["waiting"], target["retries"]) == (1, 1)
            metrics = (await bench.http.get("/metrics")).text
            samples = {
                (sample.name, *sample.labels.values()): sample.value
                for family in text_string_to_metric_families(metrics)
                for sample in family.samples
            }
            assert samples["streamapp_events_total", "appeared"] == 1
            assert samples["streamapp_events_waiting", "alarm"] == 1
            assert samples["streamapp_event_deliveries_total", "delivered", "alarm"] == 0
            assert not any(word in response.text + metrics for word in ("hunter2", "t0ken", SECRET))


async def test_events_can_be_switched_off(start_bench: StartBench) -> None:
    async with start_bench(events=EventSettings(enabled=False)) as bench:
        assert (await bench.http.get("/events")).status_code == 404
        assert (await bench.http.get("/status")).json()["events"] is None
        bench.add_numbered("door")
        await until(lambda: bench.runtime.streams["door"].frames > 3)


async def test_who_is_erased_from_the_gallery_is_in_no_event(start_bench: StartBench, kept: EventSettings) -> None:
    person = uuid4()
    async with start_bench(events=kept) as bench:
        log_of(bench).publish(event(EventKind.IDENTIFIED, person_id=person))
        assert len(await found(bench, person=str(person))) == 1
        bench.runtime.forget(person)
        assert await log_of(bench).settle()
        assert await found(bench, person=str(person)) == []
        assert len(await found(bench)) == 1
        assert person.bytes not in files_of(kept.file)
