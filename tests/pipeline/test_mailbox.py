"""One slot: live writers replace, recorded ones wait, the reader never misses the end."""

from __future__ import annotations

import asyncio

from streamapp.pipeline.mailbox import Mailbox


async def test_the_latest_wins_and_every_replaced_item_is_counted() -> None:
    dropped: list[int] = []
    mailbox: Mailbox[int] = Mailbox(on_drop=dropped.append)
    for item in range(5):
        assert mailbox.offer(item)
    assert await mailbox.get() == 4
    assert dropped == [0, 1, 2, 3]


async def test_a_waiting_reader_gets_what_is_offered() -> None:
    mailbox: Mailbox[str] = Mailbox()
    reader = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.offer("frame")
    assert await reader == "frame"


async def test_deliver_loses_nothing_and_keeps_order() -> None:
    mailbox: Mailbox[int] = Mailbox(on_drop=lambda item: pytest_fail(item))

    async def write() -> None:
        for item in range(1, 200):
            assert await mailbox.deliver(item)
        mailbox.close()

    got: list[int] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        while (item := await mailbox.get()) is not None:
            got.append(item)
    assert got == list(range(1, 200))


async def test_after_close_the_rest_is_read_and_then_none() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.offer(7)
    mailbox.close()
    assert not mailbox.offer(8)
    assert await mailbox.get() == 7
    assert await mailbox.get() is None


async def test_close_frees_a_waiting_writer_and_a_waiting_reader() -> None:
    full: Mailbox[int] = Mailbox()
    full.offer(1)
    writer = asyncio.ensure_future(full.deliver(2))
    empty: Mailbox[int] = Mailbox()
    reader = asyncio.ensure_future(empty.get())
    await asyncio.sleep(0)
    full.close()
    empty.close()
    assert await writer is False
    assert await reader is None


async def test_a_cancelled_writer_leaves_the_mailbox_usable() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.offer(1)
    first, second = asyncio.ensure_future(mailbox.deliver(2)), asyncio.ensure_future(mailbox.deliver(3))
    await asyncio.sleep(0)
    first.cancel()
    assert await mailbox.get() == 1
    assert await second
    assert await mailbox.get() == 3


async def test_a_writer_cancelled_in_its_turn_passes_the_turn_on() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.offer(1)
    first, second = asyncio.ensure_future(mailbox.deliver(2)), asyncio.ensure_future(mailbox.deliver(3))
    await asyncio.sleep(0)
    assert await mailbox.get() == 1
    first.cancel()
    assert await mailbox.get() == 3
    assert await second


def pytest_fail(item: int) -> None:
    raise AssertionError(f"{item} was dropped")
