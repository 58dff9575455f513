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
from functools import partial

from aiortc import RTCConfiguration, RTCIceServer, RTCRtpSender

from streamapp.access.keyring import Grant
from streamapp.errors import Conflict, NotFound, OfferInvalid, OfferTooLarge, OfferUnsupported, Overloaded
from streamapp.faces import Mode
from streamapp.runtime import Runtime
from streamapp.server.addresses import announced
from streamapp.server.feeds import Feeds, PeerPictures
from streamapp.server.peers import OVER, Peer, PeerEnd, PeerKind, prefer
from streamapp.server.sdp import Fragment, Offer, VideoCodec, answered_codec
from streamapp.sinks.data_channel import ResultsChannel
from streamapp.sinks.webrtc_track import CodedTrack
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

    def __init__(self, runtime: Runtime, group: asyncio.TaskGroup) -> None:
        self._runtime = runtime
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
    async def start(cls, runtime: Runtime) -> AsyncIterator[Signalling]:
        """Takes offers for the length of the block; closes every connection at its end."""
        async with asyncio.TaskGroup() as group:
            signalling = cls(runtime, group)
            try:
                yield signalling
            finally:
                signalling.close()

    def close(self) -> None:
        """Ends every connection and takes no more offers."""
        self._closing = True
        for peer in self._peers.values():
            peer.finish(PeerEnd.BY_SERVER)

    @property
    def publishers(self) -> int:
        return self._count(PeerKind.PUBLISHER)

    @property
    def viewers(self) -> int:
        return self._count(PeerKind.VIEWER)

    @property
    def sessions(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self._peers)

    def _count(self, kind: PeerKind) -> int:
        return sum(peer.kind is kind for peer in self._peers.values())

    async def publish(
        self, offer: Offer, mode: Mode | None, *, private: bool = False, name: str | None = None
    ) -> Answer:
        """Takes the peer's video as a new stream. name: that it had before its connection was lost. Raises Conflict if
        that is taken, OfferInvalid, OfferUnsupported, Overloaded."""
        if not offer.sends_video:
            raise OfferUnsupported("the offer does not send video")
        async with self._negotiating(PeerKind.PUBLISHER) as peer:
            transceiver = peer.pc.addTransceiver("video", "sendrecv" if offer.takes_video else "recvonly")
            prefer(transceiver, VideoCodec.VP8, VideoCodec.H264)  # VP8 takes a third of H264's time to decode
            await peer.take_offer(offer)
            timing = peer.time_receiver(transceiver.receiver)
            name = name or f"webrtc-{secrets.token_hex(4)}"

            def make_source(numbering: FrameNumbering) -> Source:
                return WebRtcSource(
                    transceiver.receiver.track,
                    timing,
                    numbering,
                    idle_timeout_s=self._settings.idle_timeout_s,
                    connect_timeout_s=self._settings.handshake_timeout_s,
                    max_pixels=self._runtime.settings.sources.max_pixels,
                )

            session = self._runtime.open_stream(name, make_source, mode=mode, description="webrtc", private=private)
            peer.attach(session, ResultsChannel(lambda frame: frame.rtp_timestamp))
            pictures = None
            if offer.takes_video:
                pictures = PeerPictures(self._feeds, session, overlay=True)
                transceiver.sender.replaceTrack(_track(pictures, transceiver.sender))
            return await self._answered(peer, pictures)

    async def play(self, stream: str, offer: Offer) -> Answer:
        """Shows the peer a stream. Raises NotFound, Conflict, OfferInvalid, OfferUnsupported, Overloaded."""
        session = self._runtime.stream(stream)
        if session.status.state in OVER:
            raise Conflict(f"stream {stream} is over: {session.status.reason or session.status.state}")
        if not offer.takes_video:
            raise OfferUnsupported("the offer does not take video")
        async with self._negotiating(PeerKind.VIEWER) as peer:
            transceiver = peer.pc.addTransceiver("video", "sendonly")
            prefer(transceiver, VideoCodec.H264, VideoCodec.VP8)  # what cameras send needs no coding at all
            pictures = PeerPictures(self._feeds, session, overlay=False)
            track = _track(pictures, transceiver.sender)
            transceiver.sender.replaceTrack(track)
            await peer.take_offer(offer)
            peer.attach(session, ResultsChannel(track.rtp_timestamp))
            return await self._answered(peer, pictures)

    def peer(self, peer_id: str) -> Peer:
        """Raises NotFound."""
        try:
            return self._peers[peer_id]
        except KeyError:
            raise NotFound("there is no such session; it may have ended") from None

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        """Adds candidates. Raises NotFound, OfferTooLarge, OfferUnsupported for an ICE restart."""
        peer = self.peer(peer_id)
        if fragment.ice_username not in (None, peer.ice_username):
            raise OfferUnsupported("ICE restarts are not supported; end the session and offer a new one")
        if peer.candidates + len(fragment.candidates) > self._settings.max_candidates:
            raise OfferTooLarge(f"the session has more than {self._settings.max_candidates} candidates")
        await peer.add_candidates(fragment)

    async def end(self, peer_id: str) -> None:
        """Ends a connection; returns once everything it held is free. Raises NotFound."""
        self.peer(peer_id).finish(PeerEnd.BY_PEER)
        await asyncio.wait((self._tasks[peer_id],))

    def end_with(self, peer_id: str, grant: Grant) -> None:
        """Ends a connection when the grant that it was made under ends. Raises NotFound."""
        peer = self.peer(peer_id)
        peer.on_free(grant.on_end(lambda: peer.finish(PeerEnd.BY_SERVER)))

    @asynccontextmanager
    async def _negotiating(self, kind: PeerKind) -> AsyncIterator[Peer]:
        """A new connection with a place of its own; freed if the block fails or is cancelled. Raises Overloaded."""
        limit = self._settings.max_sessions if kind is PeerKind.PUBLISHER else self._settings.max_viewers
        if self._closing or self._count(kind) >= limit:
            raise Overloaded(f"all {limit} places for a {kind} are taken", retry_after_s=RETRY_AFTER_S)
        peer = Peer(kind, self._configuration, self._settings)
        self._peers[peer.id] = peer
        try:
            yield peer
        except BaseException as error:
            freeing = self._tasks[peer.id] = self._group.create_task(self._free(peer))
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.wait((freeing,))  # whoever tries again at once finds the place free
            raise
        self._tasks[peer.id] = self._group.create_task(self._run(peer), name=f"{kind}:{peer.id[:6]}")

    async def _answered(self, peer: Peer, pictures: PeerPictures | None) -> Answer:
        sdp = await peer.answer()
        codec = answered_codec(sdp)
        if codec is None:
            raise OfferInvalid("the offer's video was not negotiated")
        if pictures is not None:
            pictures.settle(codec)
            peer.on_free(pictures.close)
        return Answer(peer.id, peer.etag, announced(sdp, self._settings.announced_addresses))

    async def _run(self, peer: Peer) -> None:
        try:
            await peer.run()
        except Exception:  # noqa: BLE001 - supervisor: whatever happens to one connection, the others go on
            _log.exception("a %s's connection failed", peer.kind)
        finally:
            await self._free(peer)

    async def _free(self, peer: Peer) -> None:
        try:
            await peer.free()
            if peer.kind is PeerKind.PUBLISHER and peer.session is not None:
                with contextlib.suppress(NotFound):  # somebody deleted it
                    await self._runtime.close_stream(peer.session.name)
        finally:
            del self._peers[peer.id], self._tasks[peer.id]
            _log.info("%s of stream %s gone: %s", peer.kind, peer.session and peer.session.name, peer.end)


def _track(pictures: PeerPictures, sender: RTCRtpSender) -> CodedTrack:
    return CodedTrack(
        pictures,
        iframe_requested=partial(take_iframe_request, sender),
        timestamp_origin=partial(rtp_timestamp_origin, sender),
    )
