"""What crosses from the reader's thread to the event loop, and what is dropped on the way."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.base import EncodedPicture, FrameNumbering
from streamapp.sources.handover import Handover
from tests.fakes import CollectingOutlet
from tests.pictures import frame, video_frame
from tests.waiting import until


def picture(index: int, *, is_iframe: bool) -> EncodedPicture:
    return EncodedPicture(b"x", index / 30, is_iframe, "h264", False)


async def test_the_newest_frame_wins_while_the_loop_is_busy() -> None:
    outlet = CollectingOutlet()
    handover = Handover(outlet, FrameNumbering("x"), lossless=False)
    for index in range(5):
        handover.put(frame(index))
    await until(lambda: outlet.frames)
    assert [each.index for each in outlet.frames] == [4]
    assert outlet.dropped == {DropReason.STALE: 4}
    assert outlet.connections == 1


async def test_a_busy_loop_is_left_with_one_call_not_one_for_each_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    handover = Handover(CollectingOutlet(), FrameNumbering("x"), lossless=False)
    calls: list[object] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", calls.append)
    for index in range(100):
        handover.put(frame(index))
        handover.count(DropReason.CORRUPT)
    assert len(calls) == 1


async def test_lossless_makes_the_thread_wait_and_loses_nothing() -> None:
    room = asyncio.Event()
    outlet = CollectingOutlet(room=room)
    handover = Handover(outlet, FrameNumbering("x"), lossless=True)
    sent: list[int] = []

    def produce() -> None:
        for index in range(10):
            handover.put(frame(index))
            sent.append(index)
        handover.finish(None)

    thread = threading.Thread(target=produce)
    forwarding = asyncio.ensure_future(handover.forward())
    thread.start()
    await until(lambda: len(sent) == 2)  # one is being delivered, one waits in the slot
    assert thread.is_alive()
    room.set()
    await forwarding
    thread.join()
    assert [each.index for each in outlet.frames] == list(range(10))
    assert not outlet.dropped


async def test_closing_frees_a_thread_that_waits() -> None:
    handover = Handover(CollectingOutlet(), FrameNumbering("x"), lossless=True)
    handover.put(frame(0))
    thread = threading.Thread(target=handover.put, args=(frame(1),))
    thread.start()
    handover.close()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


async def test_after_closing_nothing_is_handed_on_or_numbered() -> None:
    outlet = CollectingOutlet()
    numbering = FrameNumbering("x")
    handover = Handover(outlet, numbering, lossless=False)
    handover.put(frame(0))
    handover.close()
    handover.put(frame(1))
    assert handover.number(video_frame(), 0.0, arrived_s=0.0, captured_at=None) is None
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert outlet.frames == []
    assert numbering.frame(video_frame(), 0.0, arrived_s=0.0).index == 0


async def test_coded_pictures_are_bounded_and_go_on_at_an_iframe() -> None:
    outlet = CollectingOutlet(wants_encoded=True)
    handover = Handover(outlet, FrameNumbering("x"), lossless=False)
    for index in range(Handover.MAX_CODED + 5):
        handover.put_coded(picture(index, is_iframe=index == 0))
    handover.put_coded(picture(200, is_iframe=True))
    handover.put_coded(picture(201, is_iframe=False))
    await until(lambda: outlet.coded)
    assert [round(each.pts_s * 30) for each in outlet.coded] == [200, 201]
    assert outlet.dropped == {DropReason.QUEUE_FULL: Handover.MAX_CODED + 5}


async def test_what_ended_the_thread_is_raised_on_the_loop() -> None:
    handover = Handover(CollectingOutlet(), FrameNumbering("x"), lossless=False)
    threading.Thread(target=handover.finish, args=(ZeroDivisionError("oops"),)).start()
    with pytest.raises(ZeroDivisionError):
        await handover.outcome()


def test_a_thread_left_behind_survives_the_end_of_the_loop() -> None:
    async def make() -> Handover:
        return Handover(CollectingOutlet(), FrameNumbering("x"), lossless=False)

    handover = asyncio.run(make())
    late: Frame = frame(0)
    handover.put(late)
    handover.finish(None)
    assert handover.closed
