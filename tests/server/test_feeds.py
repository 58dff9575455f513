"""Who gets which coded pictures: the source's own or the shared encoder's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from streamapp.pipeline.fanout import Attachment, EncodedFanout
from streamapp.pipeline.session import StreamSession
from streamapp.server.feeds import Feeds, PeerPictures
from streamapp.server.sdp import VideoCodec
from streamapp.sinks.base import Output, Sink
from streamapp.sources.base import EncodedPicture
from tests.pictures import output
from tests.waiting import until
from tests.webrtc_peers import numbered_picture


class OneStream:
    """As much of a StreamSession as feeds use: it runs the sinks attached, on outputs the test hands in."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.encoded = EncodedFanout()
        self.latest: Output | None = None
        self.attachments: list[Attachment] = []
        self._group = group

    def attach(self, sink: Sink) -> Attachment:
        attachment = Attachment(sink)
        self.attachments.append(attachment)
        self._group.create_task(attachment.run())
        return attachment

    async def publish(self, index: int) -> None:
        one: Output = output(index, video=numbered_picture(index))
        for attachment in self.attachments:
            await attachment.inbox.deliver(one)

    def end(self) -> None:
        for attachment in self.attachments:
            attachment.inbox.close()

    @property
    def encoders(self) -> int:
        return sum(not attachment.inbox.closed for attachment in self.attachments)


def own(index: int, *, iframe: bool = False, codec: str = "h264", b_frames: bool = False) -> EncodedPicture:
    """A picture as the source coded it."""
    return EncodedPicture(b"own", index / 30, iframe, codec, b_frames)


def pictures(
    feeds: Feeds, stream: OneStream, codec: VideoCodec = VideoCodec.H264, *, overlay: bool = False
) -> PeerPictures:
    made = PeerPictures(feeds, cast(StreamSession, stream), overlay=overlay)
    made.settle(codec)
    return made


async def taken(peer: PeerPictures) -> EncodedPicture:
    async with asyncio.timeout(5):
        picture = await peer.get()
    assert picture is not None
    return picture


async def test_a_peer_sees_something_at_once_and_changes_over_at_an_iframe() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        first = group.create_task(taken(peer))
        await asyncio.sleep(0)
        assert stream.encoded.wanted
        stream.encoded.offer(own(0))  # no I-frame: of no use
        await stream.publish(1)
        assert ((await first).pts_s, first.result().is_iframe) == (1 / 30, True)
        assert not peer.forwarding
        stream.encoded.offer(own(2, iframe=True))
        stream.encoded.offer(own(3))
        assert [(await taken(peer)).data for _ in range(2)] == [b"own", b"own"]
        assert peer.forwarding
        assert len(feeds) == stream.encoders == 0
        peer.close()


async def test_the_change_over_shows_no_picture_twice() -> None:
    """The source's I-frame comes before the encoder has coded the same picture."""
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        first = group.create_task(taken(peer))
        await asyncio.sleep(0)
        await stream.publish(1)
        await first
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        stream.encoded.offer(own(2, iframe=True))
        await stream.publish(2)
        assert (await waiting).data == b"own"
        assert waiting.result().pts_s == 2 / 30
        stream.encoded.offer(own(3))
        assert (await taken(peer)).pts_s == 3 / 30
        peer.close()


@pytest.mark.parametrize("unfit", [{"b_frames": True}, {"codec": "hevc"}, {"codec": "mjpeg"}])
async def test_pictures_a_browser_cannot_show_are_coded_anew(unfit: dict[str, object]) -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        stream.encoded.offer(own(1, iframe=True, **unfit))  # type: ignore[arg-type]  # one of several keywords
        await stream.publish(1)
        assert (await waiting).data != b"own"
        stream.encoded.offer(own(2, iframe=True, **unfit))  # type: ignore[arg-type]
        await stream.publish(3)
        assert (await taken(peer)).data != b"own"
        assert not stream.encoded.wanted
        assert len(stream.attachments) == 1, "the encoder was at it all the time"
        peer.close()
        assert stream.encoders == 0


async def test_a_source_whose_coding_changes_is_coded_anew() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        stream.encoded.offer(own(1, iframe=True))
        await stream.publish(1)
        assert (await waiting).data == b"own"
        waiting = group.create_task(taken(peer))
        stream.encoded.offer(own(2, iframe=True, codec="hevc"))
        await until(lambda: stream.encoders == 1)
        await stream.publish(3)
        assert (await waiting).data != b"own"
        assert not peer.forwarding
        peer.close()


@pytest.mark.parametrize(("codec", "overlay"), [(VideoCodec.VP8, False), (VideoCodec.H264, True)])
async def test_another_codec_or_the_overlay_needs_the_encoder(codec: VideoCodec, overlay: bool) -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream, codec, overlay=overlay)
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        assert not stream.encoded.wanted
        await stream.publish(1)
        assert (await waiting).is_iframe
        peer.close()


async def test_a_lost_picture_brings_the_encoder_back_until_the_next_iframe() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        stream.encoded.offer(own(1, iframe=True))
        await stream.publish(1)
        assert (await waiting).data == b"own"
        peer.request_iframe()
        assert not peer.forwarding
        waiting = group.create_task(taken(peer))
        await asyncio.sleep(0)
        await stream.publish(2)
        assert (await waiting).is_iframe
        stream.encoded.offer(own(3))  # the peer has no reference for it
        stream.encoded.offer(own(4, iframe=True))
        assert (await taken(peer)).pts_s == 4 / 30
        assert peer.forwarding
        peer.close()


async def test_peers_of_the_same_kind_share_and_the_last_turns_off_the_light() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peers = [pictures(feeds, stream, VideoCodec.VP8) for _ in range(3)]
        peers.append(pictures(feeds, stream, VideoCodec.VP8, overlay=True))
        waiting = [group.create_task(taken(peer)) for peer in peers]
        await asyncio.sleep(0)
        assert (len(feeds), stream.encoders) == (2, 2)
        await stream.publish(1)
        shared = [(await task).data for task in waiting]
        assert shared[0] is shared[1]
        assert shared[1] is shared[2]
        for peer in peers:
            peer.close()
            peer.close()
        assert (len(feeds), stream.encoders) == (0, 0)


async def test_a_peer_that_is_gone_gets_nothing_and_holds_nothing() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        peer = pictures(feeds, stream)
        waiting = group.create_task(peer.get())
        await asyncio.sleep(0)
        peer.close()
        assert await waiting is None
        assert await peer.get() is None
        assert (len(feeds), stream.encoders, stream.encoded.wanted) == (0, 0, True)
        stream.encoded.offer(own(1, iframe=True))
        assert not stream.encoded.wanted, "found out at the next picture"


async def test_an_encoder_that_ended_is_replaced() -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        first = pictures(feeds, stream, VideoCodec.VP8)
        waiting = group.create_task(first.get())
        await asyncio.sleep(0)
        stream.end()
        second = pictures(feeds, stream, VideoCodec.VP8)
        again = group.create_task(taken(second))
        await asyncio.sleep(0)
        assert stream.encoders == 1
        await stream.attachments[-1].inbox.deliver(output(1, video=numbered_picture(1)))
        assert (await again).is_iframe
        first.close()
        second.close()
        await waiting


@pytest.mark.parametrize(("codec", "is_asked"), [("h264", True), (None, True), ("vp8", False)])
async def test_a_source_known_to_send_something_else_is_not_asked_for_its_pictures(
    codec: str | None, is_asked: bool
) -> None:
    async with asyncio.TaskGroup() as group:
        feeds, stream = Feeds(500_000), OneStream(group)
        seen = output(0, video=numbered_picture(0))
        stream.latest = replace(seen, frame=replace(seen.frame, codec=codec))
        peer = pictures(feeds, stream)
        first = group.create_task(taken(peer))
        await asyncio.sleep(0)
        assert stream.encoded.iframe_wanted == is_asked
        await stream.publish(1)
        await first
        peer.close()
