"""WebRTC between two real peers on this machine, for tests: numbered pictures, a bad network, and connecting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Coroutine
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from streamapp.sources.aiortc_timing import ReceiveTiming
from tests.waiting import until

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
        self._under_way: set[asyncio.Task[None]] = set()
        for transport in {t.receiver.transport.transport for t in pc.getTransceivers()}:
            vars(transport)["_send"] = self._wrapped(transport._send)

    async def settle(self) -> None:
        """Nothing more is under way."""
        self._loss = 1.0
        await asyncio.gather(*self._under_way)

    def _wrapped(self, send: _Send) -> _Send:
        async def later(data: bytes) -> None:
            await asyncio.sleep(self._rng.random() * self._jitter_s)
            with contextlib.suppress(ConnectionError):  # the session is over
                await send(data)

        async def badly(data: bytes) -> None:
            if not 127 < data[0] < 192:
                await send(data)
                return
            self.sent += 1
            if self._rng.random() < self._loss:
                self.lost += 1
            elif self._jitter_s:
                task = asyncio.get_running_loop().create_task(later(data))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            else:
                await send(data)

        return badly


def sender_of(pc: RTCPeerConnection) -> RTCRtpSender:
    return next(sender for sender in pc.getSenders() if sender.kind == "video")


class WebPeer:
    """What a browser does with WHIP and WHEP: offers, connects, and collects results and pictures."""

    def __init__(self, http: httpx.AsyncClient, path: str) -> None:
        self.pc = RTCPeerConnection(no_ice_servers())
        self.results: list[dict[str, Any]] = []
        self.last_picture: VideoFrame | None = None
        self.numbers: list[int | None] = []
        """Numbers of the pictures that came, None for corrupt ones."""
        self.pictures_by_timestamp: dict[int, int | None] = {}
        self.location = ""
        self.etag = ""
        self.answer = ""
        self._http = http
        self._path = path
        self._channel: RTCDataChannel | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def send_video(self, track: MediaStreamTrack, direction: str = "sendonly") -> None:
        self.pc.addTransceiver(track, direction)

    def take_video(self) -> None:
        self.pc.addTransceiver("video", "recvonly")

    def only(self, codec: str) -> None:
        """Offers nothing but this video codec, such as video/H264."""
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        for transceiver in self.pc.getTransceivers():
            transceiver.setCodecPreferences([c for c in capabilities if c.mimeType in (codec, "video/rtx")])

    def open_channel(self, label: str = "results") -> RTCDataChannel:
        self._channel = self.pc.createDataChannel(label, ordered=False, maxRetransmits=0)
        self._channel.on("message", lambda message: self.results.append(json.loads(message)))
        return self._channel

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def post(self, sdp: str) -> httpx.Response:
        return await self._http.post(self._path, content=sdp, headers={"Content-Type": "application/sdp"})

    async def connect(self) -> None:
        """Up to the open connection. Raises AssertionError if the server does not accept."""
        response = await self.post(await self.offer())
        assert response.status_code == 201, response.text
        await self.accept(response)

    async def accept(self, response: httpx.Response) -> None:
        """Takes the server's answer; up to the open connection."""
        self.location, self.etag = response.headers["location"], response.headers["etag"]
        self.answer = response.text
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        for transceiver in self.pc.getTransceivers():
            track = transceiver.receiver.track
            if track is not None and transceiver.kind == "video":
                timing = ReceiveTiming(transceiver.receiver)
                self._tasks.append(asyncio.ensure_future(self._read(track, timing)))
                self._tasks.append(asyncio.ensure_future(timing.run()))
        await until(lambda: self.pc.connectionState == "connected")

    async def delete(self) -> httpx.Response:
        return await self._http.delete(self.location)

    async def close(self) -> None:
        """Says goodbye to the peer, not to the server."""
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def vanish(self) -> None:
        """Sends nothing more, not even a goodbye, as a process that was killed."""
        for transport in {t.receiver.transport.transport for t in self.pc.getTransceivers()}:
            vars(transport)["_send"] = _nothing
            for protocol in transport._connection._protocols:
                protocol.transport.close()

    async def _read(self, track: MediaStreamTrack, timing: ReceiveTiming) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                picture = await track.recv()
                assert isinstance(picture, VideoFrame)
                self.last_picture = picture
                number = read_number(picture)
                self.numbers.append(number)
                timestamp = timing.rtp_timestamp(picture)
                if timestamp is not None:
                    self.pictures_by_timestamp[timestamp] = number


async def _nothing(data: bytes) -> None:
    """Where the packets of a vanished peer go."""
