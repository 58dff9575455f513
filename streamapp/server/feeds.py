"""Which coded pictures a peer gets: the source's own where it can show them, else those of an encoder that all peers of
the same stream and codec share."""

from __future__ import annotations

from dataclasses import dataclass

from streamapp.pipeline.fanout import Attachment, EncodedFanout, EncodedSubscription
from streamapp.pipeline.session import StreamSession
from streamapp.server.sdp import VideoCodec
from streamapp.sinks.overlay import OverlayPainter
from streamapp.sinks.webrtc_track import PictureEncoder, PicturePlain, SharedEncoder
from streamapp.sources.base import EncodedPicture

_FFMPEG_NAMES = {VideoCodec.H264: "h264", VideoCodec.VP8: "vp8"}


@dataclass(frozen=True, slots=True)
class FeedKey:
    """What peers must have in common to share an encoder."""

    session: StreamSession
    codec: VideoCodec
    overlay: bool


class Feed:
    """An encoder at work for at least one peer."""

    def __init__(self, key: FeedKey, bit_rate: int) -> None:
        self.fanout = EncodedFanout()
        self.viewers = 0
        codec = _FFMPEG_NAMES[key.codec]
        painter = OverlayPainter() if key.overlay else PicturePlain()

        def publish(data: bytes, pts_s: float, is_iframe: bool) -> None:
            self.fanout.offer(EncodedPicture(data, pts_s, is_iframe, codec, has_b_frames=False))

        self.encoder = SharedEncoder(painter, PictureEncoder(codec, bit_rate), publish)
        self.attachment: Attachment = key.session.attach(self.encoder)


class Feeds:
    """The encoders at work. Each starts with its first peer and ends with its last."""

    def __init__(self, bit_rate: int) -> None:
        self._bit_rate = bit_rate
        self._feeds: dict[FeedKey, Feed] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    def join(self, key: FeedKey) -> EncodedSubscription:
        """Pictures from the next I-frame on, which is asked for. `leave` must follow."""
        feed = self._feeds.get(key)
        if feed is None or feed.attachment.inbox.closed:
            feed = self._feeds[key] = Feed(key, self._bit_rate)
        feed.viewers += 1
        feed.encoder.request_iframe()
        return feed.fanout.subscribe()

    def request_iframe(self, key: FeedKey) -> None:
        if key in self._feeds:
            self._feeds[key].encoder.request_iframe()

    def leave(self, key: FeedKey, subscription: EncodedSubscription) -> None:
        subscription.close()
        feed = self._feeds.get(key)
        if feed is None:
            return
        feed.viewers -= 1
        if feed.viewers <= 0:
            del self._feeds[key]
            feed.attachment.inbox.close()  # its task ends by itself with the picture it is at


class PeerPictures:
    """One peer's pictures. Joining the encoder shows something at once; where the source's own pictures will do, it
    changes over to those at their next I-frame, and back whenever the peer needs an I-frame: a source cannot be asked
    for one. Nothing is taken before the first `get`, which is when the connection is up.
    """

    def __init__(self, feeds: Feeds, session: StreamSession, *, overlay: bool) -> None:
        self._feeds = feeds
        self._session = session
        self._overlay = overlay
        self._key: FeedKey | None = None
        self._forward = False
        self._encoded: EncodedSubscription | None = None
        self._own: EncodedSubscription | None = None
        self._last_pts_s = float("-inf")
        self._closed = False

    def settle(self, codec: VideoCodec) -> None:
        """The codec that was negotiated. Before the first `get`."""
        self._key = FeedKey(self._session, codec, self._overlay)
        latest = self._session.latest
        is_other = latest is not None and latest.frame.codec not in (None, _FFMPEG_NAMES[VideoCodec.H264])
        self._forward = codec is VideoCodec.H264 and not self._overlay and not is_other

    @property
    def forwarding(self) -> bool:
        """Whether the peer gets the source's own pictures."""
        return self._own is not None and self._encoded is None

    async def get(self) -> EncodedPicture | None:
        """The next picture, later than all before; None once the stream has ended or `close` was called."""
        if self._encoded is None and self._own is None and not self._closed:
            self._join()
        while not self._closed:
            self._change_over()
            subscription = self._encoded or self._own
            assert subscription is not None
            picture = await subscription.get()
            if picture is None:
                return None
            self._change_over()  # the source's own I-frame may have come meanwhile, and may be the same picture
            if subscription is self._encoded and picture.pts_s > self._last_pts_s:
                self._last_pts_s = picture.pts_s
                return picture
            if subscription is self._own:
                if _fits(picture) and picture.pts_s > self._last_pts_s:
                    self._last_pts_s = picture.pts_s
                    return picture
                self._rejoin(may_forward=_fits(picture))
        return None

    def request_iframe(self) -> None:
        """The peer lost a picture."""
        if self._encoded is not None and self._key is not None:
            self._feeds.request_iframe(self._key)
        elif self._own is not None:
            self._rejoin(may_forward=True)

    def close(self) -> None:
        """The peer is gone. Idempotent."""
        self._closed = True
        if self._own is not None:
            self._own.close()
        self._leave_encoder()

    def _join(self) -> None:
        assert self._key is not None, "settle comes first"
        self._encoded = self._feeds.join(self._key)
        if self._forward:
            self._own = self._session.encoded.subscribe()

    def _change_over(self) -> None:
        """Goes on with the source's own pictures if its I-frame is there."""
        if self._encoded is None or self._own is None or self._own.first is None:
            return
        if _fits(self._own.first):
            self._leave_encoder()
        else:
            self._forward = False
            self._own.close()
            self._own = None

    def _rejoin(self, *, may_forward: bool) -> None:
        self._forward = may_forward
        if self._own is not None:
            self._own.close()
            self._own = None
        self._join()

    def _leave_encoder(self) -> None:
        if self._encoded is not None and self._key is not None:
            self._feeds.leave(self._key, self._encoded)
            self._encoded = None


def _fits(picture: EncodedPicture) -> bool:
    """Whether a peer that takes H264 can show this: browsers do not put B-frames back in order (RFC 7742)."""
    return picture.codec == "h264" and not picture.has_b_frames
