"""WHIP (RFC 9725) and WHEP without HTTP: offers in, answers out, and the connections that come of it.

    publish: peer --video--> stream of its own --results (and, if it takes video, the overlay)--> the same peer
    play:    any stream --its pictures, results--> peer
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiortc import RTCConfiguration, RTCIceServer

from streamapp.errors import NotFound, OfferInvalid, OfferTooLarge, OfferUnsupported, Overloaded
from streamapp.faces import Mode
from streamapp.frame import Frame
from streamapp.metrics import Metrics
from streamapp.pipeline.session import StreamSession
from streamapp.runtime import Runtime
from streamapp.server.feeds import FeedKey, Feeds, PeerPictures
from streamapp.server.peers import Peer, PeerEnd, PeerKind, prefer
from streamapp.server.sdp import Fragment, Offer, VideoCodec, answered_codec
from streamapp.sinks.data_channel import ResultsChannel
from streamapp.sinks.webrtc_track import CodedPicture, CodedTrack
from streamapp.sources.aiortc_timing import rtp_timestamp_origin, take_iframe_request
from streamapp.sources.base import FrameNumbering, Source
from streamapp.sources.webrtc import WebRtcSource

_log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What an accepted offer gets: the connection's id, the entity tag of its ICE session, and the SDP."""

    id: str
    etag: str
    sdp: str


class Signalling:
    """All WebRTC connections of this process."""

    def __init__(self, runtime: Runtime, metrics: Metrics, group: asyncio.TaskGroup) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._group = group
        self._settings = runtime.settings.webrtc
        self._feeds = Feeds(self._settings.video_bitrate)
        self._peers: dict[str, Peer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False
        servers = [
            RTCIceServer(
                urls=list(server.urls),
                username=server.username,
                credential=server.credential.get_secret_value() if server.credential else None,
            )
            for server in self._settings.ice_servers
        ]
        self._configuration = RTCConfiguration(iceServers=servers)  # aiortc asks Google's STUN if given none at all

    @classmethod
    @asynccontextmanager
    async def start(cls, runtime: Runtime, metrics: Metrics) -> AsyncIterator[Signalling]:
        """Takes offers for the length of the block; closes every connection at its end."""
        async with asyncio.TaskGroup() as group:
            signalling = cls(runtime, metrics, group)
            try:
                yield signalling
            finally:
                signalling.close()

    def close(self) -> None:
        """Ends every connection and takes no more offers."""
        self._closing = True
        for peer in self._peers.values():
            peer.finish(PeerEnd.BY_SERVER)

    def count(self, kind: PeerKind) -> int:
        return sum(peer.kind is kind for peer in self._peers.values())

    def viewers(self, stream: str) -> int:
        """Connections that watch a stream."""
        return sum(
            p.kind is PeerKind.VIEWER and p.session is not None and p.session.name == stream
            for p in self._peers.values()
        )

    async def publish(self, offer: Offer, mode: Mode | None) -> Answer:
        """Takes the peer's video as a new stream. Raises OfferInvalid, OfferUnsupported, Overloaded."""
        if not offer.sends_video:
            raise OfferUnsupported("the offer does not send video")
        async with self._negotiating(PeerKind.PUBLISHER) as peer:
            transceiver = peer.pc.addTransceiver("video", "sendrecv" if offer.takes_video else "recvonly")
            prefer(transceiver, VideoCodec.VP8, VideoCodec.H264)  # VP8 takes a third of H264's time to decode
            await peer.take_offer(offer)
            timing = peer.time_receiver(transceiver.receiver)
            name = f"webrtc-{secrets.token_hex(4)}"

            def make_source(numbering: FrameNumbering) -> Source:
                return WebRtcSource(
                    transceiver.receiver.track,
                    timing,
                    numbering,
                    idle_timeout_s=self._settings.idle_timeout_s,
                    connect_timeout_s=self._settings.handshake_timeout_s,
                    max_pixels=self._runtime.settings.sources.max_pixels,
                )

            session = self._runtime.open_stream(name, make_source, mode=mode, description="webrtc")
            peer.attach(session, ResultsChannel(lambda frame: frame.rtp_timestamp))
            if offer.takes_video:
                transceiver.sender.replaceTrack(_Returned(self._feeds, session, overlay=True).track(peer))
            return await self._answered(peer)

    async def play(self, stream: str, offer: Offer) -> Answer:
        """Shows the peer a stream. Raises NotFound, OfferInvalid, OfferUnsupported, Overloaded."""
        session = self._runtime.stream(stream)
        if not offer.takes_video:
            raise OfferUnsupported("the offer does not take video")
        async with self._negotiating(PeerKind.VIEWER) as peer:
            returned = _Returned(self._feeds, session, overlay=False)
            track = returned.track(peer)
            transceiver = peer.pc.addTransceiver(track, "sendonly")
            prefer(transceiver, VideoCodec.H264, VideoCodec.VP8)  # what cameras send needs no coding at all
            await peer.take_offer(offer)
            peer.attach(session, ResultsChannel(track.rtp_timestamp))
            return await self._answered(peer)
