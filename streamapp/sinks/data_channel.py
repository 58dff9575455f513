"""Results over a WebRTC data channel, and what a peer may send back over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from streamapp.frame import Frame
from streamapp.results import FrameResult
from streamapp.sinks.base import Inbox

CHANNEL = "results"
"""The label of the one channel a peer may open."""
MAX_BUFFERED_BYTES = 8192
"""A peer with more than this waiting is slow: it gets the newest result again once it has caught up."""
MAX_MESSAGE_BYTES = 65_536
MAX_BYTES_PER_S = 262_144


class ResultsChannel:
    """Sends every result as one text message: the FrameResult as JSON with one more key, `rtp_timestamp`, the 32-bit
    RTP timestamp under which the peer has that picture, or null where that is not known."""

    lossless = False

    def __init__(self, rtp_timestamp: Callable[[Frame], int | None]) -> None:
        self.sent = 0
        self.dropped = 0
        self._rtp_timestamp = rtp_timestamp
        self._channel: RTCDataChannel | None = None

    def use(self, channel: RTCDataChannel) -> None:
        """The channel the peer opened. Before, results are not for anybody and not counted."""
        self._channel = channel

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            channel = self._channel
            if channel is None or channel.readyState != "open":
                continue
            if channel.bufferedAmount > MAX_BUFFERED_BYTES:
                self.dropped += 1
                continue
            try:
                channel.send(result_message(output.result, self._rtp_timestamp(output.frame)))
            except (InvalidStateError, ValueError):  # it closed meanwhile, or takes no message of this size
                self.dropped += 1
            else:
                self.sent += 1


def result_message(result: FrameResult, rtp_timestamp: int | None) -> str:
    """The result's JSON with `rtp_timestamp` added."""
    return f'{result.to_json()[:-1]},"rtp_timestamp":{"null" if rtp_timestamp is None else rtp_timestamp}}}'


class IncomingQuota:
    """How much a peer may send over the channel, which this app has no use for. Pure: `now` is handed in."""

    def __init__(self) -> None:
        self._messages: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def exceeded(self, message_bytes: int, now: float) -> bool:
        """Counts a message; True once it, or the last second with it, is over the limit."""
        while self._messages and self._messages[0][0] <= now - 1.0:
            self._bytes -= self._messages.popleft()[1]
        self._messages.append((now, message_bytes))
        self._bytes += message_bytes
        return message_bytes > MAX_MESSAGE_BYTES or self._bytes > MAX_BYTES_PER_S
