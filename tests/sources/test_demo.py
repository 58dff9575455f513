"""The clip that comes with the app."""

from __future__ import annotations

import asyncio

import av
import pytest

from streamapp.assets import asset
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace
from streamapp.sources.demo import DemoSource
from tests.fakes import CollectingOutlet
from tests.waiting import until

LATE_S = 0.1
"""The first frame may come this late on a busy machine, which shortens the measured time."""
CLIP = asset("recordings/demo.mp4")


def source(pace: Pace, *, loop: bool = False) -> DemoSource:
    return DemoSource(FrameNumbering("demo"), SourceSettings(), pace=pace, loop=loop)


def test_the_clip_is_small_and_can_be_forwarded_to_any_browser() -> None:
    assert CLIP.stat().st_size < 2_000_000
    with av.open(str(CLIP)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (640, 480)
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert all(packet.pts == packet.dts for packet in packets)  # no B-frames
    assert [index for index, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, len(packets), 30))


async def test_all_of_it_is_played() -> None:
    outlet = CollectingOutlet()
    await source(Pace.ASAP).run(outlet)
    assert len(outlet.frames) == 435
    assert outlet.frames[-1].pts_s == pytest.approx(434 / 30, abs=1e-3)


async def test_it_plays_in_real_time_with_coded_pictures() -> None:
    outlet = CollectingOutlet(wants_encoded=True)
    run = asyncio.ensure_future(source(Pace.REALTIME, loop=True).run(outlet))
    await until(lambda: len(outlet.frames) >= 15)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert outlet.frames[-1].arrived_s - outlet.frames[0].arrived_s >= outlet.frames[-1].pts_s - LATE_S
    assert outlet.coded[0].is_iframe
    assert not outlet.coded[0].has_b_frames
