"""WebRTC between two real peers on this machine, for tests: numbered pictures, a bad network, and connecting."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender
from av import VideoFrame
from numpy.typing import NDArray

CLOCK_RATE = 90_000
_BITS = 16
_BLOCK = 20
_Send = Callable[[bytes], Coroutine[Any, Any, None]]


def use_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out and has no option for it; tests stay on this machine by having nothing else."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


def no_ice_servers() -> RTCConfiguration:
    return RTCConfiguration(iceServers=[])


def numbered_luma(number: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A moving slope, with the number in black and white blocks and below it the same inverted. uint8 [h, w]."""
    x, y = np.arange(width), np.arange(height)
    luma = (60 + (x[None, :] + 2 * y[:, None] + 5 * number) % 256 * 0.5).astype(np.uint8)
    for bit in range(_BITS):
        on = bool(number >> bit & 1)
        luma[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 235 if on else 16
        luma[_BLOCK : 2 * _BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 16 if on else 235
    return luma


def numbered_picture(number: int, width: int = 320, height: int = 240) -> VideoFrame:
    luma = numbered_luma(number, width, height)
    grey = np.full((height // 2, width), 128, np.uint8)
    return VideoFrame.from_ndarray(np.vstack([luma, grey]), format="yuv420p")


def read_number(picture: VideoFrame) -> int | None:
    """The number in a picture; None if any part of it is not as it was made, give or take compression."""
    luma = picture.to_ndarray(format="gray").astype(np.int16)
    row = luma[_BLOCK // 2, _BLOCK // 2 : _BITS * _BLOCK : _BLOCK]
    number = int(sum(int(value > 128) << bit for bit, value in enumerate(row)))
    wrong = np.abs(luma - numbered_luma(number, picture.width, picture.height))
    # The mean over 8x8 blocks: compression blurs edges, a wrong reference puts whole blocks in the wrong place.
    blocks = wrong[: picture.height // 8 * 8, : picture.width // 8 * 8]
    means = blocks.reshape(picture.height // 8, 8, -1, 8).mean(axis=(1, 3))
    return number if means.mean() < 12 and np.percentile(means, 99) < 60 else None


class NumberedTrack(MediaStreamTrack):
    """30 numbered pictures a second. `sent_at` has the Unix time of each."""

    kind = "video"

    def __init__(self, width: int = 320, height: int = 240, fps: int = 30) -> None:
        super().__init__()
        self.number = -1
        self.sent_at: dict[int, float] = {}
        self._size = width, height
        self._fps = fps
        self._start_s = time.monotonic()

    async def recv(self) -> VideoFrame:
        due = int((time.monotonic() - self._start_s) * self._fps) + 1
        self.number = max(self.number + 1, due)  # a late one is left out, as cameras do
        await asyncio.sleep(max(0.0, self._start_s + self.number / self._fps - time.monotonic()))
        picture = numbered_picture(self.number, *self._size)
        picture.pts, picture.time_base = self.number * CLOCK_RATE // self._fps, Fraction(1, CLOCK_RATE)
        self.sent_at[self.number] = time.time()
        return picture


class BadNetwork:
    """Loses and delays what one peer sends, SRTP and SRTCP only: both ways stay up."""

    def __init__(self, pc: RTCPeerConnection, *, loss: float, jitter_s: float, seed: int = 1) -> None:
        self.sent = self.lost = 0
        self._rng = random.Random(seed)
        self._loss = loss
        self._jitter_s = jitter_s
        for transport in {t.receiver.transport.transport for t in pc.getTransceivers()}:
            vars(transport)["_send"] = self._wrapped(transport._send)

    def _wrapped(self, send: _Send) -> _Send:
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        async def quietly(data: bytes) -> None:
            with contextlib.suppress(ConnectionError):  # the session is over
                await send(data)

        def start(data: bytes) -> None:
            task = loop.create_task(quietly(data))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async def badly(data: bytes) -> None:
            if not 127 < data[0] < 192:
                await send(data)
                return
            self.sent += 1
            if self._rng.random() < self._loss:
                self.lost += 1
            elif self._jitter_s:
                loop.call_later(self._rng.random() * self._jitter_s, start, data)
            else:
                await send(data)

        return badly


def sender_of(pc: RTCPeerConnection) -> RTCRtpSender:
    return next(sender for sender in pc.getSenders() if sender.kind == "video")
