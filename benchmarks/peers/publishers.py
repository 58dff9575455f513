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
from pathlib import Path

from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from benchmarks.contestants import Contestant, contestants
from benchmarks.isolation import widen_aioice_to_loopback
from benchmarks.processes import ServerFailed
from streamapp.capacity.publisher import Publisher
from streamapp.settings import Settings

SETTLE_S = 2.5


@dataclass(frozen=True, slots=True)
class Counts:
    """Per second and session; what was not asked for is empty."""

    results: list[float]
    pictures: list[float]
    cpu_percent: float
    """Of this process: near 100 the publishers are what is slow."""


class CountingPublisher:
    """One session. `results` and `pictures` count what came back."""

    def __init__(self, contestant: Contestant, pictures: Sequence[bytes], phase: float, *, receive_video: bool) -> None:
        self.results = 0
        self.pictures = 0
        self._contestant = contestant
        self._publisher = Publisher(
            pictures, phase, self._on_message, label=contestant.label, returns_video=receive_video
        )
        self._count_pictures(self._publisher.transceiver.receiver)

    async def connect(self, url: str) -> None:
        """Raises ServerFailed, TimeoutError."""
        await self._publisher.connect(lambda offer: asyncio.to_thread(self._contestant.answer, url, offer))
        await asyncio.to_thread(self._contestant.start, url)

    async def close(self) -> None:
        await self._publisher.close()

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
        CountingPublisher(contestant, pictures, number / sessions, receive_video=receive_video)
        for number in range(sessions)
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
