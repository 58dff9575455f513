"""A cheap WebRTC publisher: sends pictures that are coded already, and hands on what comes back on its data channel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from fractions import Fraction
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from streamapp.capacity.clip import FPS

CONNECT_TIMEOUT_S = 15.0
RESULTS = "results"
"""The app's data channel."""


class CodedTrack(MediaStreamTrack):
    """The same coded pictures again and again, at the camera's pace. phase: 0 to 1, of the time between pictures."""

    kind = "video"

    def __init__(self, pictures: Sequence[bytes], phase: float) -> None:
        super().__init__()
        self._pictures = pictures
        self._phase_s = phase / FPS
        self._sent = 0
        self._start_s: float | None = None

    async def recv(self) -> av.Packet[Any]:
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s + self._phase_s
        await asyncio.sleep(max(0.0, self._start_s + self._sent / FPS - now_s))
        packet = av.Packet(self._pictures[self._sent % len(self._pictures)])
        packet.pts, packet.time_base = self._sent, Fraction(1, FPS)
        self._sent += 1
        return packet


class Publisher:
    """One VP8 session. on_message: gets each message of the data channel; with returns_video it asks for video too."""

    def __init__(
        self,
        pictures: Sequence[bytes],
        phase: float,
        on_message: Callable[[str | bytes], None],
        *,
        label: str = RESULTS,
        returns_video: bool = False,
    ) -> None:
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        channel = self._pc.createDataChannel(label, ordered=False, maxRetransmits=0)
        channel.on("message", on_message)
        direction = "sendrecv" if returns_video else "sendonly"
        self.transceiver: RTCRtpTransceiver = self._pc.addTransceiver(CodedTrack(pictures, phase), direction=direction)
        codecs = RTCRtpSender.getCapabilities("video").codecs
        self.transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/VP8"])
        self._pc.on("connectionstatechange", self._on_state)

    async def connect(self, answer: Callable[[str], Awaitable[str]]) -> None:
        """answer: gives the server's SDP for an offer. Raises what it raises, and TimeoutError."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answered = await answer(self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(answered, "answer"))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connected.wait()

    async def close(self) -> None:
        await self._pc.close()

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()
