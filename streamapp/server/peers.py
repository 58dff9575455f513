"""One WebRTC connection from its offer to its end. Whatever ends it, everything it held is free afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from enum import StrEnum

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

from streamapp.errors import OfferInvalid, OfferUnsupported
from streamapp.pipeline.fanout import Attachment
from streamapp.pipeline.session import StreamSession
from streamapp.sections import WebRtcSettings
from streamapp.server.sdp import Fragment, Offer, VideoCodec
from streamapp.sinks.data_channel import CHANNEL, MAX_MESSAGE_BYTES, IncomingQuota, ResultsChannel
from streamapp.sources.aiortc_timing import ReceiveTiming, discard_media, unfinished_bytes
from streamapp.sources.base import SourceState, SourceStatus

_log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 4.0
LOOK_INTERVAL_S = 0.5
OVER = (SourceState.ENDED, SourceState.FAILED, SourceState.CLOSED)
_NEGOTIATION_ERRORS = (
    *(ValueError, AssertionError, AttributeError, KeyError, IndexError, TypeError, RuntimeError),
    *(InternalError, InvalidAccessError, InvalidStateError),
)
"""What aiortc raises for offers it does not understand."""


class PeerKind(StrEnum):
    PUBLISHER = "publisher"
    VIEWER = "viewer"


class PeerEnd(StrEnum):
    """Why a connection ended."""

    BY_PEER = "by_peer"
    BY_SERVER = "by_server"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    CONNECTION_FAILED = "connection_failed"
    VANISHED = "vanished"
    OVER_QUOTA = "over_quota"
    STREAM_ENDED = "stream_ended"
    CANCELLED = "cancelled"


class Peer:
    """A connection. The owner negotiates, then has `run` in a task until it returns, or calls `free` itself."""

    def __init__(self, kind: PeerKind, configuration: RTCConfiguration, settings: WebRtcSettings) -> None:
        self.kind = kind
        self.id = secrets.token_urlsafe(16)
        self.etag = f'"{secrets.token_urlsafe(8)}"'
        """Names the ICE session (RFC 9725 section 4.3.1). It never changes: ICE restarts are not supported."""
        self.pc = RTCPeerConnection(configuration)
        self.session: StreamSession | None = None
        self.ice_username = ""
        self.candidates = 0
        self.results: ResultsChannel | None = None
        self.end: PeerEnd | None = None
        self._settings = settings
        self._timing: ReceiveTiming | None = None
        self._quota = IncomingQuota()
        self._ending = asyncio.Event()
        self._on_free: list[Callable[[], None]] = []
        self._attachments: list[Attachment] = []
        self._channels = 0
        self._freed = False
        self.pc.on("connectionstatechange", self._on_connection_state)
        self.pc.on("datachannel", self._on_channel)

    # -- negotiation ---------------------------------------------------------------------------------------------------

    async def take_offer(self, offer: Offer) -> None:
        """Raises OfferInvalid or OfferUnsupported."""
        self.ice_username, self.candidates = offer.ice_username, offer.candidates
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        except OperationError as error:
            raise OfferUnsupported("no codec of one of the offer's media sections is supported") from error
        except _NEGOTIATION_ERRORS as error:
            raise OfferInvalid(f"the offer cannot be used ({type(error).__name__})") from error

    def time_receiver(self, receiver: RTCRtpReceiver) -> ReceiveTiming:
        """Between the offer and the answer."""
        self._timing = ReceiveTiming(receiver)
        return self._timing

    async def answer(self) -> str:
        """The SDP answer, with all candidates of this side. Raises OfferInvalid."""
        try:
            await self.pc.setLocalDescription(await self.pc.createAnswer())
        except _NEGOTIATION_ERRORS as error:
            raise OfferInvalid(f"the offer cannot be answered ({type(error).__name__})") from error
        return self.pc.localDescription.sdp

    async def add_candidates(self, fragment: Fragment) -> None:
        self.candidates += len(fragment.candidates)
        for candidate in fragment.candidates:
            await self.pc.addIceCandidate(candidate)

    def attach(self, session: StreamSession, results: ResultsChannel) -> None:
        """The stream this peer sends or watches. The connection ends with it."""
        self.session, self.results = session, results
        self._attachments.append(session.attach(results))
        self._on_free.append(session.watch_status(self._on_status))
        self._on_status(session.status)

    def on_free(self, release: Callable[[], None]) -> None:
        """Calls `release` once when the connection is over."""
        self._on_free.append(release)

    # -- life ----------------------------------------------------------------------------------------------------------

    def finish(self, end: PeerEnd) -> None:
        """Ends the connection; `run` then returns. The first reason counts."""
        self.end = self.end or end
        self._ending.set()

    async def run(self) -> None:
        """Looks after the connection until it is over. Does not free it."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._watch())]
            if self._timing is not None and self._timing.active:
                tasks.append(group.create_task(self._timing.run()))
            for transceiver in self.pc.getTransceivers():
                receiver = transceiver.receiver
                if transceiver.kind == "audio" and receiver.track is not None and not discard_media(receiver):
                    tasks.append(group.create_task(_drain(receiver)))
            await self._ending.wait()
            for task in tasks:
                task.cancel()

    async def free(self) -> None:
        """Frees everything. Idempotent, and does what it can whatever goes wrong."""
        if self._freed:
            return
        self._freed = True
        self.end = self.end or PeerEnd.CANCELLED
        for release in self._on_free:
            release()
        for attachment in self._attachments:
            attachment.inbox.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.pc.close()
        except TimeoutError:
            _log.warning("a connection of %s did not close in time", self.kind)
        except Exception:  # noqa: BLE001 - aiortc's close can raise anything; the rest must be freed all the same
            _log.warning("a connection of %s did not close cleanly", self.kind, exc_info=True)

    async def _watch(self) -> None:
        """Ends the connection when it does not come up, or when nothing comes from the peer any more."""
        started_s = heard_s = time.monotonic()
        packets = -1
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            now = time.monotonic()
            if self.pc.connectionState != "connected":
                if now - started_s > self._settings.handshake_timeout_s:
                    self.finish(PeerEnd.HANDSHAKE_TIMEOUT)
                heard_s = now
                continue
            if self.pc.sctp is not None and unfinished_bytes(self.pc.sctp) > MAX_MESSAGE_BYTES:
                self.finish(PeerEnd.OVER_QUOTA)
            received = await self._packets_received()
            if received != packets:
                packets, heard_s = received, now
            elif now - heard_s > self._settings.idle_timeout_s:
                self.finish(PeerEnd.VANISHED)

    async def _packets_received(self) -> int:
        """Media, reports on media and data, of all transports. A peer that is there sends reports every second or so,
        (RFC 3550 section 6.2), also one that only watches."""
        stats = await self.pc.getStats()
        return sum(getattr(entry, "packetsReceived", 0) for entry in stats.values() if entry.type == "transport")

    def _on_connection_state(self) -> None:
        if self.pc.connectionState == "failed":
            self.finish(PeerEnd.CONNECTION_FAILED)
        elif self.pc.connectionState == "closed":
            self.finish(PeerEnd.BY_PEER)

    def _on_status(self, status: SourceStatus) -> None:
        if status.state in OVER:
            self.finish(PeerEnd.STREAM_ENDED)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channels += 1
        if channel.label != CHANNEL or self._channels > 1:
            self.finish(PeerEnd.OVER_QUOTA)
            return
        channel.on("message", self._on_message)
        if self.results is not None:
            self.results.use(channel)

    def _on_message(self, message: str | bytes) -> None:
        size = len(message.encode()) if isinstance(message, str) else len(message)
        if self._quota.exceeded(size, time.monotonic()):
            self.finish(PeerEnd.OVER_QUOTA)


def prefer(transceiver: RTCRtpTransceiver, *codecs: VideoCodec) -> None:
    """Which codecs a video section may settle on, the best first. Before the offer is taken, or it has no effect."""
    capabilities = RTCRtpSender.getCapabilities("video").codecs
    wanted = [c for codec in codecs for c in capabilities if c.name.upper() == codec]
    transceiver.setCodecPreferences([*wanted, *(c for c in capabilities if c.name == "rtx")])


async def _drain(receiver: RTCRtpReceiver) -> None:
    """Reads a track that nobody wants: aiortc's queue has no bound."""
    with contextlib.suppress(MediaStreamError):
        while True:
            await receiver.track.recv()
