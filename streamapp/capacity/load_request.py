"""Which streams to put on which server, and each of them while it is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from streamapp.capacity.load_report import StreamKind
from streamapp.capacity.target import is_loopback
from streamapp.errors import UsageError
from streamapp.faces import Mode
from streamapp.log import redact
from streamapp.results import FrameResult
from streamapp.server.schemas import StreamInfo
from streamapp.sources.base import SourceState


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to put on which server. `rtsp_url` is fetched `rtsp` times by the server; `clips` are its own demo clip."""

    address: str
    webrtc: int
    rtsp: int
    rtsp_url: str | None
    clips: int
    seconds: float
    mode: Mode
    elsewhere: bool
    """Also a server or a camera that is not on this machine."""

    def check(self) -> None:
        """Raises UsageError for what makes no sense, or is not to be put under load unasked."""
        if urlsplit(self.address).scheme not in ("http", "https"):
            raise UsageError(f"{self.address} is not the http:// or https:// address of a server")
        if not self.webrtc + self.rtsp + self.clips:
            raise UsageError("there is no stream to open: give --webrtc, --rtsp or --clips")
        if self.rtsp and (self.rtsp_url is None or urlsplit(self.rtsp_url).scheme not in ("rtsp", "rtsps")):
            raise UsageError("--rtsp needs --rtsp-url, the rtsp:// address of a camera; --clips needs none")
        for address in (self.address, self.rtsp_url):
            if address is not None and not self.elsewhere and not is_loopback(address):
                raise UsageError(
                    f"{redact(address)} is not this machine: putting another one under load takes --elsewhere"
                )


@dataclass(slots=True)
class OpenedStream:
    """A stream that was opened. `ages_ms`: of its results while it is measured; None while it is not."""

    name: str
    kind: StreamKind
    ages_ms: list[float] | None = None
    results: int = 0

    def on_message(self, message: str | bytes) -> None:
        """A result on the data channel."""
        now = time.time()
        try:
            result = FrameResult.from_json(message)
        except ValidationError:
            return
        self.name = result.stream
        self.results += 1
        if self.ages_ms is not None:
            self.ages_ms.append(1e3 * (now - result.captured_at))

    def on_poll(self, info: StreamInfo) -> None:
        """What the server says of a stream whose results are not sent here."""
        if self.ages_ms is not None and self.kind is not StreamKind.WEBRTC and info.latency_ms is not None:
            self.ages_ms.append(info.latency_ms)

    def is_live(self, info: StreamInfo | None) -> bool:
        """Whether results come, as the client or the server says."""
        if self.kind is StreamKind.WEBRTC:
            return self.results > 0
        return info is not None and info.state is SourceState.LIVE and info.frames > 0
