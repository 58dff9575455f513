"""Results over a WebRTC data channel, and what a peer may send back over it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from streamapp.frame import Frame
from streamapp.sinks.base import Inbox, Output

CHANNEL = "results"
"""The label of the one channel a peer may open."""
MAX_BUFFERED_BYTES = 8192
"""A peer with more than this waiting is slow: it gets the newest result again once it has caught up."""
MAX_MESSAGE_BYTES = 65_536
MAX_BYTES_PER_S = 262_144


class ResultsChannel:
    """Sends every result as one text message: the FrameResult as JSON with two more keys. `rtp_timestamp`: the 32-bit
    RTP timestamp under which the peer has that picture, or null where that is not known. `veiled`: boxes in pixels that
    are blurred wherever the picture is shown, and that a peer blurs in what it shows of its own camera; null where
    nothing is."""

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
                channel.send(result_message(output, self._rtp_timestamp(output.frame)))
            except (InvalidStateError, ValueError):  # it closed meanwhile, or takes no message of this size
                self.dropped += 1
            else:
                self.sent += 1


def result_message(output: Output, rtp_timestamp: int | None) -> str:
    """The result's JSON with what the channel adds."""
    veiled = None if output.veiled is None else [[round(side, 1) for side in box] for box in output.veiled]
    return f'{output.result.to_json()[:-1]},"rtp_timestamp":{json.dumps(rtp_timestamp)},"veiled":{json.dumps(veiled)}}}'


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
