"""What a peer sends by WebRTC, as frames. The connection belongs to the server; this reads one track of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamapp.errors import PublisherGone, SourceTooLarge
from streamapp.results import DropReason
from streamapp.sources.aiortc_timing import CLOCK_RATE, ReceiveTiming
from streamapp.sources.base import EncodedPicture, FrameNumbering, Outlet
from streamapp.sources.coded import ParameterSets


class WebRtcSource:
    """One video track. It is emptied at once, whatever happens to the frames: aiortc's queue has no bound.

    idle_timeout_s: without a picture for so long, the peer is taken for gone. connect_timeout_s: what the first picture
    may take on top of that, for the connection to come up.
    """

    live = True

    def __init__(
        self,
        track: MediaStreamTrack,
        timing: ReceiveTiming,
        numbering: FrameNumbering,
        *,
        idle_timeout_s: float,
        connect_timeout_s: float,
        max_pixels: int,
    ) -> None:
        self._track = track
        self._timing = timing
        self._numbering = numbering
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._max_pixels = max_pixels
        self._sets: ParameterSets | None = None

    async def run(self, outlet: Outlet) -> None:
        """Delivers until the track ends. Raises PublisherGone then, SourceTooLarge at a picture beyond the limit."""
        reported: Counter[DropReason] = Counter()
        timeout_s = self._connect_timeout_s + self._idle_timeout_s
        try:
            while True:
                picture = await self._next(timeout_s)
                if picture.width * picture.height > self._max_pixels:
                    raise SourceTooLarge(f"pictures of {picture.width}x{picture.height} are larger than the limit")
                if timeout_s > self._idle_timeout_s:
                    timeout_s = self._idle_timeout_s
                    outlet.connected()
                self._offer(picture, outlet)
                _report_drops(self._timing, reported, outlet)
        finally:
            _report_drops(self._timing, reported, outlet)

    async def _next(self, timeout_s: float) -> VideoFrame:
        try:
            async with asyncio.timeout(timeout_s):
                picture = await self._track.recv()
        except TimeoutError:
            raise PublisherGone(f"no picture came for {timeout_s:g} s") from None
        except MediaStreamError:
            raise PublisherGone("the peer ended its video") from None
        assert isinstance(picture, VideoFrame), "only video tracks are read here"
        return picture

    def _offer(self, picture: VideoFrame, outlet: Outlet) -> None:
        assert picture.pts is not None, "aiortc's decoders set it"
        rtp_timestamp = self._timing.rtp_timestamp(picture)
        arrived_s = self._timing.arrived_s(picture)
        frame = self._numbering.frame(
            picture,
            picture.pts / CLOCK_RATE,
            arrived_s=time.monotonic() if arrived_s is None else arrived_s,
            captured_at=None if rtp_timestamp is None else self._timing.captured_at(rtp_timestamp),
            rtp_timestamp=rtp_timestamp,
            codec=self._timing.codec,
        )
        self._offer_coded(picture.pts, frame.pts_s, outlet)
        outlet.offer(frame)

    def _offer_coded(self, ticks: int, pts_s: float, outlet: Outlet) -> None:
        """Hands on what was coded up to the picture at `ticks`, which is shown at `pts_s`."""
        self._timing.keeps_coded = outlet.wants_encoded
        if outlet.wants_iframe:
            self._timing.request_iframe()
        for coded in self._timing.take_coded(ticks):
            if self._sets is None or coded.codec != self._sets.codec:
                self._sets = ParameterSets(coded.codec)
            data = self._sets.before(coded.data) if coded.is_iframe else coded.data
            shown_s = pts_s - (ticks - coded.ticks) / CLOCK_RATE
            outlet.offer_encoded(EncodedPicture(data, shown_s, coded.is_iframe, coded.codec, has_b_frames=False))


def _report_drops(timing: ReceiveTiming, reported: Counter[DropReason], outlet: Outlet) -> None:
    """Tells the outlet of what was lost since the last time."""
    for reason, count in timing.dropped.items():
        if count > reported[reason]:
            outlet.count_drop(reason, count - reported[reason])
            reported[reason] = count
