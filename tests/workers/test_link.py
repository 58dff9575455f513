"""Two ends of a link: what is told arrives in order, what is asked is answered, and nobody waits for who is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from streamapp.errors import NotFound, Overloaded, StreamappError, WorkerLost
from streamapp.workers.link import Link
from streamapp.workers.messages import LookAgain, Named, Request, Seen, TakeCensus, TakeShots, Told
from tests.waiting import until


async def _nothing(request: Request) -> object:
    raise AssertionError(f"{request} was not to be asked")


@asynccontextmanager
async def linked(
    answer: Callable[[Request], Awaitable[object]] = _nothing, on_end: Callable[[], None] = lambda: None
) -> AsyncIterator[tuple[Link, Link, list[Told]]]:
    """One end, the other end, which answers, and what the other end heard."""
    one, other = socket.socketpair()
    heard: list[Told] = []
    async with (
        Link.over(one, _nothing, lambda _: None, on_end) as asking,
        Link.over(other, answer, heard.append) as answering,
    ):
        yield asking, answering, heard


async def test_what_is_told_arrives_in_order() -> None:
    messages: list[Told] = [Named(uuid4(), "Ada", 3), LookAgain(4), Seen(UUID(int=7))] * 20
    async with linked() as (link, _, heard):
        for message in messages:
            link.tell(message)
        await until(lambda: len(heard) == len(messages))
        assert heard == messages


async def test_answers_go_to_who_asked_whatever_their_order() -> None:
    first_may = asyncio.Event()

    async def answer(request: Request) -> object:
        assert isinstance(request, TakeShots)
        if request.track_id == 1:
            await first_may.wait()
        return f"shots of {request.track_id}"

    async with linked(answer) as (link, _, _heard), asyncio.TaskGroup() as group:
        first = group.create_task(link.ask(TakeShots("door", 1)))
        assert await link.ask(TakeShots("door", 2)) == "shots of 2"
        first_may.set()
        assert await first == "shots of 1"


@pytest.mark.parametrize("error", [NotFound("no such track"), Overloaded("full", retry_after_s=7), WorkerLost()])
async def test_an_error_is_raised_where_it_was_asked(error: StreamappError) -> None:
    async def answer(request: Request) -> object:
        raise error

    async with linked(answer) as (link, _, _heard):
        with pytest.raises(type(error)) as caught:
            await link.ask(TakeCensus())
        assert str(caught.value) == str(error)
        assert getattr(caught.value, "retry_after_s", 0) == getattr(error, "retry_after_s", 0)


async def test_nobody_waits_for_who_is_gone() -> None:
    ended = asyncio.Event()
    one, other = socket.socketpair()
    async with Link.over(one, _nothing, lambda _: None, ended.set) as link, asyncio.TaskGroup() as group:
        asked = group.create_task(_refused(link))
        await asyncio.sleep(0)
        other.close()
        assert await asked
        await ended.wait()
        assert await _refused(link, timeout_s=0.1)
        link.tell(LookAgain(None))


async def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    async def answer(request: Request) -> object:
        return await asyncio.Event().wait()

    async with linked(answer) as (link, _, _heard):
        assert await _refused(link, timeout_s=0.05)


async def _refused(link: Link, timeout_s: float = 10.0) -> bool:
    with pytest.raises(WorkerLost):
        await link.ask(TakeCensus(), timeout_s)
    return True
