"""Coded pictures on their way past the decoder, for viewers that take the source's own coding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.bitstream import BitStreamFilterContext

from streamapp.sources.encoded import EncodedPicture

_START_CODE = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class _NalSyntax:
    """Where a codec's NAL unit header holds the type, and which types are parameter sets and the access unit
    delimiter (H.264 table 7-1, H.265 table 7-1)."""

    shift: int
    mask: int
    parameter_sets: frozenset[int]
    delimiter: int
    annexb_filter: str

    def kind(self, unit: bytes) -> int:
        return (unit[0] >> self.shift) & self.mask


_NAL_SYNTAXES = {
    "h264": _NalSyntax(0, 0x1F, frozenset({7, 8}), 9, "h264_mp4toannexb"),
    "hevc": _NalSyntax(1, 0x3F, frozenset({32, 33, 34}), 35, "hevc_mp4toannexb"),
}


@dataclass(frozen=True, slots=True)
class _Held:
    data: bytes
    source_pts_s: float
    source_dts_s: float | None
    is_iframe: bool


class ParameterSets:
    """The newest parameter sets of one H264 or H265 stream; of other codecs nothing is kept or changed."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self._syntax = _NAL_SYNTAXES.get(codec)
        self._units: dict[int, tuple[bytes, ...]] = {}

    def remember(self, data: bytes) -> frozenset[int]:
        """Keeps the parameter sets in Annex B data; returns which kinds it has."""
        if self._syntax is None:
            return frozenset()
        found: dict[int, tuple[bytes, ...]] = {}
        for unit in nal_units(data):
            kind = self._syntax.kind(unit)
            if kind in self._syntax.parameter_sets:
                found[kind] = (*found.get(kind, ()), unit)
        self._units |= found
        return frozenset(found)

    def before(self, iframe: bytes) -> bytes:
        """The coded I-frame with its parameter sets before it."""
        if self._syntax is None or self.remember(iframe) >= self._units.keys():
            return iframe
        start = 0
        if self._syntax.kind(next(nal_units(iframe))) == self._syntax.delimiter:  # it has to stay the first
            start = max(0, iframe.find(_START_CODE, len(_START_CODE)))
        return iframe[:start] + self.annexb + iframe[start:]

    @property
    def annexb(self) -> bytes:
        """All of them as an Annex B byte stream."""
        return b"".join(_START_CODE + unit for kind in sorted(self._units) for unit in self._units[kind])


class CodedPictures:
    """Turns one opened stream's packets into coded pictures, beginning with an I-frame.

    H264 and H265 come out as Annex B with the parameter sets before every I-frame, whether the source repeats them,
    sent them once, or keeps them in a container's header. Other codecs come out as they are.
    """

    MAX_HELD = 64
    """Pictures held until the first frame is decoded; a decoder's delay is 16 at most (H.264 A.3.1)."""

    def __init__(self, stream: av.VideoStream) -> None:
        context = stream.codec_context
        self._context = context
        self.codec = context.codec.canonical_name
        """FFmpeg's name."""
        extradata = context.extradata or b""
        self._filter: BitStreamFilterContext | None = None
        self._parameter_sets = ParameterSets(self.codec)
        if self.codec in _NAL_SYNTAXES and extradata[:1] == b"\x01":  # avcC or hvcC
            self._filter = BitStreamFilterContext(_NAL_SYNTAXES[self.codec].annexb_filter, stream)
        else:
            self._parameter_sets.remember(extradata)
        self._held: deque[_Held] = deque(maxlen=self.MAX_HELD)
        self._started = False
        self._offset_s: float | None = None

    def stop(self) -> None:
        """Nobody wants coded pictures now; the next ones begin with an I-frame again."""
        self._started = False
        self._held.clear()

    def add(self, packet: av.Packet[av.VideoStream]) -> None:
        """Takes the next packet in coding order, which must have been decoded already: it is used up."""
        is_iframe = packet.is_keyframe
        if not packet.size or not (self._started or is_iframe):
            return
        self._started = True
        source_pts_s = float((packet.pts or 0) * packet.time_base)  # FFmpeg gives the first of a live stream no time
        source_dts_s = None if packet.dts is None else float(packet.dts * packet.time_base)
        packets = self._filter.filter(packet) if self._filter is not None else [packet]
        data = b"".join(bytes(part) for part in packets)
        if is_iframe:
            data = self._parameter_sets.before(data)
        self._held.append(_Held(data, source_pts_s, source_dts_s, is_iframe))

    def take(self, offset_s: float | None) -> Iterator[EncodedPicture]:
        """What has been added since. `offset_s` takes the source's clock to the stream's, None if it is as before;
        nothing comes out until it is known, which is once the first frame is numbered."""
        if offset_s is not None:
            self._offset_s = offset_s
        while self._held and self._offset_s is not None:
            held = self._held.popleft()
            has_b_frames = bool(self._context.has_b_frames)
            decoded_s = held.source_dts_s if has_b_frames else None
            yield EncodedPicture(
                held.data,
                held.source_pts_s + self._offset_s,
                held.is_iframe,
                self.codec,
                has_b_frames,
                None if decoded_s is None else decoded_s + self._offset_s,
            )


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream (H.264 annex B), without start codes."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        end = data.find(b"\x00\x00\x01", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit
        start = end
