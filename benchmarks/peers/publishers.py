"""So many cheap WebRTC publishers: pictures encoded beforehand go out, results and returned pictures are counted.

Usage: python -m benchmarks.peers.publishers CONTESTANT URL SESSIONS yes|no SECONDS CLIP. yes: ask for returned video.
Nothing is decoded. Prints JSON. Exits with 1, saying why, when a session cannot be had.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RtpPacket

from benchmarks.contestants import Contestant, contestants
from benchmarks.isolation import widen_aioice_to_loopback
from benchmarks.processes import ServerFailed
from streamapp.settings import Settings

FPS = 30
SETTLE_S = 2.5
CONNECT_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Per second and session; what was not asked for is empty."""

    results: list[float]
    pictures: list[float]
    cpu_percent: float
    """Of this process: near 100 the publishers are what is slow."""


class CodedTrack(MediaStreamTrack):
    """The same coded pictures again and again, at the camera's pace."""

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
    """One session. `results` and `pictures` count what came back."""

    def __init__(self, contestant: Contestant, pictures: Sequence[bytes], phase: float, *, receive_video: bool) -> None:
        self.results = 0
        self.pictures = 0
        self._contestant = contestant
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        channel = self._pc.createDataChannel(contestant.label, ordered=False, maxRetransmits=0)
        channel.on("message", self._on_message)
        track = CodedTrack(pictures, phase)
        direction = "sendrecv" if receive_video else "sendonly"
        transceiver = self._pc.addTransceiver(track, direction=direction)
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/VP8"])
        self._count_pictures(transceiver.receiver)
        self._pc.on("connectionstatechange", self._on_state)

    async def connect(self, url: str) -> None:
        """Raises ServerFailed, TimeoutError."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await asyncio.to_thread(self._contestant.answer, url, self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connected.wait()
        await asyncio.to_thread(self._contestant.start, url)

    async def close(self) -> None:
        await self._pc.close()

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()

    def _on_message(self, _: str | bytes) -> None:
        self.results += 1

    def _count_pictures(self, receiver: RTCRtpReceiver) -> None:
        """The marker bit ends a picture; decoding it would cost more than sending."""

        async def count(packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc names them
            if packet.marker:
                self.pictures += 1

        vars(receiver)["_handle_rtp_packet"] = count


async def publish(
    contestant: Contestant, url: str, sessions: int, pictures: Sequence[bytes], *, receive_video: bool, seconds: float
) -> Counts:
    publishers = [
        Publisher(contestant, pictures, number / sessions, receive_video=receive_video) for number in range(sessions)
    ]
    try:
        for publisher in publishers:
            await publisher.connect(url)
        await asyncio.sleep(SETTLE_S)
        before = [(publisher.results, publisher.pictures) for publisher in publishers]
        start_s, used_s = time.monotonic(), time.process_time()
        print("measuring", flush=True)
        await asyncio.sleep(seconds)
        elapsed_s, used_s = time.monotonic() - start_s, time.process_time() - used_s
        print("measured", flush=True)
        after = [(publisher.results, publisher.pictures) for publisher in publishers]
    finally:
        await asyncio.gather(*(publisher.close() for publisher in publishers))
    rates = [
        tuple(round((b - a) / elapsed_s, 2) for a, b in zip(*pair, strict=True))
        for pair in zip(before, after, strict=True)
    ]
    results = [rate[0] for rate in rates] if contestant.sends_results else []
    return Counts(results, [rate[1] for rate in rates] if receive_video else [], round(100 * used_s / elapsed_s, 1))


def main(name: str, url: str, sessions: int, receive_video: bool, seconds: float, clip: Path) -> None:
    contestant = contestants(Settings(), Path(sys.executable))[name]
    pictures: list[bytes] = pickle.loads(clip.read_bytes())
    work = publish(contestant, url, sessions, pictures, receive_video=receive_video, seconds=seconds)
    try:
        counts = asyncio.run(work)
    except (ServerFailed, TimeoutError) as error:
        sys.exit(f"no session: {error or 'not connected in time'}")
    print(json.dumps(asdict(counts)))


if __name__ == "__main__":
    widen_aioice_to_loopback()
    _, name, url, sessions, receive_video, seconds, clip = sys.argv
    main(name, url, int(sessions), receive_video == "yes", float(seconds), Path(clip))
