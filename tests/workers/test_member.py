"""A worker as the server sees it, over processes that the test plays."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from streamapp.events.event import Event
from streamapp.faces import Mode
from streamapp.server.census import Census
from streamapp.server.schemas import StreamInfo, StreamRequest
from streamapp.sources.base import SourceState
from streamapp.workers import member as module
from streamapp.workers.launcher import Running
from streamapp.workers.link import Link
from streamapp.workers.member import Member
from streamapp.workers.messages import Begin, Begun, Request, Search, Settle, TakeCensus, Told
from streamapp.workers.visits import WorkerVisits
from tests.waiting import until

DOOR = StreamInfo.model_validate(
    dict.fromkeys(StreamInfo.model_fields)
    | {"name": "door", "source": "demo", "added": True, "mode": Mode.FAST, "privacy": False, "state": SourceState.LIVE}
    | {"dropped": {}, "jobs_dropped": {}, "keyframes": {}}
    | dict.fromkeys(("since", "attempt", "fps", "frames", "faces", "sinks"), 0)
)


class PlayedProcess:
    """A WorkerProcess, and what it says over its link. settles: whether it says that it has heard what it was told."""

    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair()
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._life: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self.census = Census()
        self.settles = True
        self.begins_with_its_census = False
        self.why: str | None = None

    def start(self) -> Running:
        self._life = asyncio.create_task(self._live())
        return Running(self, self.ours, httpx.AsyncClient())

    def say(self, message: Told) -> None:
        assert self._link is not None
        self._link.tell(message)

    async def wait(self) -> str:
        return await asyncio.shield(self._gone)

    def kill(self, why: str) -> None:
        self.why = why
        self._end(why)

    async def end(self, timeout_s: float) -> None:
        self._end("ended")
        if self._life is not None:
            await asyncio.wait([self._life])

    def _end(self, why: str) -> None:
        if not self._gone.done():
            self._gone.set_result(why)

    async def _live(self) -> None:
        async with Link.over(self._theirs, self._answer, lambda _: None) as self._link:
            await self.wait()

    async def _answer(self, request: Request) -> object:
        if isinstance(request, Settle):
            await asyncio.sleep(0 if self.settles else 60)
            return None
        assert isinstance(request, TakeCensus)
        if self.begins_with_its_census:
            asyncio.get_running_loop().call_soon(self.say, Begun())
        return self.census


class Home:
    def begin(self, streams: tuple[StreamRequest, ...]) -> Begin:
        return Begin(streams, {}, None)

    async def hand_copy(self, tell: Callable[[Told], None]) -> None:
        pass

    async def answer(self, request: Search) -> object:
        raise AssertionError(request)

    def hear(self, message: Told) -> None: ...

    def publish(self, events: list[Event]) -> None: ...


class Launcher:
    def __init__(self) -> None:
        self.processes: list[PlayedProcess] = []
        self.prepare: Callable[[PlayedProcess], None] = lambda _: None

    async def launch(self, index: int) -> Running:
        process = PlayedProcess()
        self.prepare(process)
        self.processes.append(process)
        return process.start()


@asynccontextmanager
async def living(launcher: Launcher) -> AsyncIterator[Member]:
    member = Member(0, launcher, Home(), WorkerVisits(lambda: pytest.fail("nobody visits")))
    await member.start()
    async with asyncio.TaskGroup() as group:
        life = group.create_task(member.live())
        yield member
        life.cancel()
    await member.end()


async def test_a_process_that_does_not_say_that_somebody_is_erased_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_TIMEOUT_S", 0.05)
    launcher = Launcher()
    async with living(launcher) as member:
        await until(lambda: bool(launcher.processes))
        process = launcher.processes[0]
        await asyncio.sleep(0.05)
        await member.settle()
        assert process.why is None
        process.settles = False
        await member.settle()
        assert process.why is not None
        assert "erased" in process.why
        await until(lambda: len(launcher.processes) == 2)


async def test_streams_are_listed_also_while_a_new_process_has_not_said_what_it_has() -> None:
    launcher = Launcher()
    launcher.prepare = lambda process: setattr(process, "begins_with_its_census", True)
    async with living(launcher) as member:
        await until(lambda: bool(launcher.processes))
        launcher.processes[0].census = Census(streams=(DOOR,), added=1)
        await until(lambda: bool(member.known_census.streams))
        launcher.processes[0].kill("killed by the test")
        for _ in range(60):
            assert [stream.name for stream in member.known_census.streams] == ["door"]
            await asyncio.sleep(0.02)
            if len(launcher.processes) == 2 and member.known_census.streams[0].state is SourceState.LIVE:
                break
        assert len(launcher.processes) == 2
