"""Real faces, encoded once: what load generators send, so that sending costs them next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.stream import Stream
from av.video.stream import VideoStream

from benchmarks.media import Size, decoded, videos
from streamapp.capacity.clip import FPS, IFRAME_EVERY, VP8, Coding, configure, encoded

CLIP_S = 8
CLIP_FRAMES = FPS * CLIP_S


H264 = Coding("libx264", 3_000_000, {"preset": "veryfast", "bf": "0", "sc_threshold": "0"})
"""As a camera sends it: no B-frames."""


def vp8_pictures(size: Size) -> list[bytes]:
    """The coded pictures of a clip of `CLIP_S` seconds, as a browser sends it, the first an I-frame."""
    return encoded(_pictures(size), VP8, size.width, size.height, iframe_every=IFRAME_EVERY)


def write_mp4(target: Path, coding: Coding, size: Size, *, iframe_every: int, loops: int) -> Path:
    """Writes a clip that repeats: `loops` times `CLIP_S` seconds, encoded once."""
    with av.open(str(target), "w", format="mp4") as sink:
        stream = sink.add_stream(coding.codec, rate=FPS, options=coding.options)
        assert isinstance(stream, VideoStream)
        configure(stream.codec_context, coding, size.width, size.height, iframe_every)
        packets = list(chain.from_iterable(map(stream.encode, (*_pictures(size), None))))
        for loop in range(loops):
            for packet in packets:
                sink.mux_one(_later(packet, loop * CLIP_S))
    return target


def _later(packet: av.Packet[VideoStream], by_s: int) -> av.Packet[Stream]:
    """A copy, `by_s` seconds later: the muxer takes packets for its own and changes them."""
    assert packet.pts is not None
    assert packet.dts is not None
    assert packet.time_base is not None
    copy = av.Packet(bytes(packet))
    shift = round(by_s / packet.time_base)
    copy.pts, copy.dts, copy.time_base = packet.pts + shift, packet.dts + shift, packet.time_base
    copy.stream, copy.is_keyframe = packet.stream, packet.is_keyframe
    return copy


def _pictures(size: Size) -> Iterator[av.VideoFrame]:
    frames = decoded(videos()[0], size, limit=CLIP_FRAMES)
    for index in range(CLIP_FRAMES):
        frame = frames[index % len(frames)]
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield frame
