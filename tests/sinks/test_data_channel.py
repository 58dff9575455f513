"""What goes over the data channel, and what a peer may send back."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from streamapp.frame import Frame
from streamapp.pipeline.mailbox import Mailbox
from streamapp.results import FrameResult
from streamapp.sinks.base import Output
from streamapp.sinks.data_channel import (
    MAX_BUFFERED_BYTES,
    MAX_BYTES_PER_S,
    MAX_MESSAGE_BYTES,
    IncomingQuota,
    ResultsChannel,
    result_message,
)
from tests.pictures import output, track


class FakeChannel(RTCDataChannel):
    """A channel whose state and backlog are whatever the test says."""

    def __init__(self, *, state: str = "open", backlog: int = 0, error: Exception | None = None) -> None:
        self.state = state
        self.backlog = backlog
        self.error = error
        self.messages: list[str] = []

    @property
    def readyState(self) -> str:  # noqa: N802 - aiortc's name
        return self.state

    @property
    def bufferedAmount(self) -> int:  # noqa: N802 - aiortc's name
        return self.backlog

    def send(self, data: bytes | str) -> None:
        if self.error is not None:
            raise self.error
        assert isinstance(data, str)
        self.messages.append(data)


def rtp_timestamp(frame: Frame) -> int | None:
    return None if frame.index == 0 else frame.index * 3000


async def sent(sink: ResultsChannel, *outputs: Output) -> None:
    inbox: Mailbox[Output] = Mailbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.run(inbox))
        for one in outputs:
            await inbox.deliver(one)
        inbox.close()


async def test_every_result_is_one_message_with_its_rtp_timestamp() -> None:
    sink, channel = ResultsChannel(rtp_timestamp), FakeChannel()
    sink.use(channel)
    outputs = [output(index, track()) for index in range(3)]
    await sent(sink, *outputs)
    messages = [json.loads(message) for message in channel.messages]
    assert [message.pop("rtp_timestamp") for message in messages] == [None, 3000, 6000]
    assert [FrameResult.from_json(json.dumps(message)) for message in messages] == [one.result for one in outputs]
    assert sink.sent == 3


async def test_a_slow_peer_misses_results_and_gets_the_next_once_it_caught_up() -> None:
    sink, channel = ResultsChannel(rtp_timestamp), FakeChannel(backlog=MAX_BUFFERED_BYTES + 1)
    sink.use(channel)
    await sent(sink, output(1), output(2))
    assert (channel.messages, sink.dropped) == ([], 2)
    channel.backlog = 0
    await sent(sink, output(3))
    assert [json.loads(message)["frame"] for message in channel.messages] == [3]


@pytest.mark.parametrize("channel", [None, FakeChannel(state="connecting"), FakeChannel(state="closed")])
async def test_without_an_open_channel_nothing_is_sent_and_nothing_counted(channel: FakeChannel | None) -> None:
    sink = ResultsChannel(rtp_timestamp)
    if channel is not None:
        sink.use(channel)
    await sent(sink, output(1))
    assert (sink.sent, sink.dropped) == (0, 0)


@pytest.mark.parametrize("error", [InvalidStateError(), ValueError("message too large")])
async def test_a_channel_that_refuses_a_message_costs_that_message(error: Exception) -> None:
    sink, channel = ResultsChannel(rtp_timestamp), FakeChannel(error=error)
    sink.use(channel)
    await sent(sink, output(1))
    channel.error = None
    await sent(sink, output(2))
    assert (sink.sent, sink.dropped) == (1, 1)


def test_a_message_is_one_json_object() -> None:
    message = json.loads(result_message(output(7), 4_294_967_295))
    assert message["rtp_timestamp"] == 4_294_967_295
    assert message["frame"] == 7


# -- the way back ------------------------------------------------------------------------------------------------------


def test_small_messages_now_and_then_are_within_the_quota() -> None:
    quota = IncomingQuota()
    assert not any(quota.exceeded(1000, now=second * 0.1) for second in range(1000))


def test_a_large_message_is_over_it() -> None:
    assert not IncomingQuota().exceeded(MAX_MESSAGE_BYTES, 0.0)
    assert IncomingQuota().exceeded(MAX_MESSAGE_BYTES + 1, 0.0)


def test_many_bytes_in_a_second_are_over_it_and_forgotten_after() -> None:
    quota = IncomingQuota()
    size = MAX_BYTES_PER_S // 8
    assert not any(quota.exceeded(size, now=i / 10) for i in range(8))
    assert quota.exceeded(size, now=0.85)
    assert not quota.exceeded(size, now=2.0)
