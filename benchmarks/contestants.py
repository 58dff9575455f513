"""The servers that are compared over WebRTC, and how each is asked for a session."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.detectors import app_environment
from benchmarks.glass import Message
from benchmarks.processes import Server, ServerFailed, free_port, post, running
from streamapp.results import FrameResult
from streamapp.settings import Settings

PEERS = Path(__file__).parent / "peers"
MANY = "64"
"""Sessions that a server under test may hold: more than it can."""


class Contestant(Protocol):
    """A server's program and its dialect."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str:
        """Of the data channel that the client opens."""

    @property
    def sends_results(self) -> bool:
        """Whether it sends something per picture on the data channel, and so can do without returning video."""

    def command(self, port: int) -> Sequence[str]:
        """What starts it."""

    def environment(self) -> Mapping[str, str]: ...

    def answer(self, url: str, offer: str) -> str:
        """The SDP answer of the server at `url`. Raises ServerFailed."""

    def start(self, url: str) -> None:
        """What else its own page does once the newest session is connected. Raises ServerFailed."""

    def message(self, arrived_ms: float, data: str, time_origin_ms: float) -> Message | None:
        """A message of the data channel as a result; None for anything else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant in one way of use."""

    contestant: Contestant
    receive_video: bool

    @property
    def name(self) -> str:
        return f"{self.contestant.name}, {'returned video' if self.receive_video else 'data channel only'}"


def ways_of_use(field: Iterable[Contestant]) -> list[Entry]:
    """Everything that is measured of each: with returned video, then with results alone."""
    field = tuple(field)
    data = [Entry(contestant, receive_video=False) for contestant in field if contestant.sends_results]
    return [*(Entry(contestant, receive_video=True) for contestant in field), *data]


@dataclass(slots=True)
class Streamapp:
    settings: Settings
    name: str = "streamapp"
    label: str = "results"
    sends_results: bool = True

    def command(self, port: int) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.peers.streamapp_server", "serve", "--port", str(port)]

    def environment(self) -> Mapping[str, str]:
        return app_environment(self.settings, STREAMAPP_WEBRTC__MAX_SESSIONS=MANY)

    def answer(self, url: str, offer: str) -> str:
        return post(f"{url}/whip?mode=fast", offer.encode(), "application/sdp")

    def start(self, url: str) -> None:
        pass

    def message(self, arrived_ms: float, data: str, time_origin_ms: float) -> Message | None:
        try:
            result = FrameResult.from_json(data)
        except ValueError:
            return None
        detector_ms = result.timing_ms["screen"]
        return Message(
            arrived_ms,
            captured_ms=result.captured_at * 1e3 - time_origin_ms,
            pts_ms=result.pts_s * 1e3,
            detector_ms=detector_ms,
            server_ms=result.timing_ms["total"],
            steps_ms=result.timing_ms,
        )


@dataclass(slots=True)
class AiortcEcho:
    """aiortc as it comes, no model: what the plumbing alone does."""

    name: str = "aiortc"
    label: str = "results"
    sends_results: bool = True

    def command(self, port: int) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.peers.aiortc_echo", str(port)]

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answer(self, url: str, offer: str) -> str:
        return post(f"{url}/offer", offer.encode(), "application/sdp")

    def start(self, url: str) -> None:
        pass

    def message(self, arrived_ms: float, data: str, time_origin_ms: float) -> Message | None:  # noqa: ARG002
        number = json.loads(data)["number"]
        return Message(arrived_ms, number=number) if isinstance(number, int) else None


@dataclass(slots=True)
class FastRtc:
    """FastRTC's minimal example: the handler flips the picture."""

    python: Path
    name: str = "FastRTC"
    label: str = "text"
    sends_results: bool = False
    _ids: list[str] = field(default_factory=list)

    def command(self, port: int) -> Sequence[str]:
        return [str(self.python), str(PEERS / "fastrtc_flip.py"), str(port)]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}

    def answer(self, url: str, offer: str) -> str:
        self._ids.append(uuid.uuid4().hex)
        body = {"sdp": offer, "type": "offer", "webrtc_id": self._ids[-1]}
        answer = json.loads(post(f"{url}/webrtc/offer", json.dumps(body).encode(), "application/json"))
        if "sdp" not in answer:
            raise ServerFailed(f"FastRTC: {answer}")
        return str(answer["sdp"])

    def start(self, url: str) -> None:
        deadline_s = time.monotonic() + 5
        while post(f"{url}/start/{self._ids[-1]}", b"", "application/json") == "0":
            if time.monotonic() > deadline_s:
                raise ServerFailed("FastRTC has no connection to start")
            time.sleep(0.1)

    def message(self, arrived_ms: float, data: str, time_origin_ms: float) -> Message | None:  # noqa: ARG002
        return None


@contextmanager
def serving(contestant: Contestant, core: int | None = None) -> Iterator[Server]:
    port = free_port()
    environment = contestant.environment()
    with running(contestant.name, contestant.command(port), port, env=environment, core=core) as server:
        yield server


def contestants(settings: Settings, fastrtc: Path | None) -> dict[str, Contestant]:
    """All of them by name, ours first. FastRTC is left out where it is not installed."""
    found: list[Contestant] = [Streamapp(settings), AiortcEcho()]
    if fastrtc is not None:
        found.insert(1, FastRtc(fastrtc))
    return {contestant.name: contestant for contestant in found}
