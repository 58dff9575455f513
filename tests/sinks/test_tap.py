"""A sink read by somebody else."""

from __future__ import annotations

import asyncio

from streamapp.pipeline.fanout import Attachment
from streamapp.sinks.tap import Tap
from tests.pictures import output


async def test_its_reader_gets_the_newest_output_and_then_the_end() -> None:
    tap = Tap()
    attachment = Attachment(tap)
    async with asyncio.TaskGroup() as group:
        group.create_task(attachment.run())
        attachment.inbox.offer(output(1))
        attachment.inbox.offer(output(2))
        newest = await tap.get()
        assert newest is not None
        assert newest.result.frame == 2
        assert attachment.drops == 1
        attachment.inbox.close()
        assert await tap.get() is None
        tap.release()


async def test_released_it_ends() -> None:
    tap = Tap()
    attachment = Attachment(tap)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(attachment.run())
        tap.release()
        await attachment.close()
    assert attachment.inbox.closed
