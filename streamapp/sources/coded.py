"""Coded pictures on their way past the decoder, for viewers that take the source's own coding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.bitstream import BitStreamFilterContext

from streamapp.sources.base import EncodedPicture

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
    is_iframe: bool


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
        self._codec = context.codec.canonical_name
        self._syntax = _NAL_SYNTAXES.get(self._codec)
        extradata = context.extradata or b""
        self._filter: BitStreamFilterContext | None = None
        self._parameter_sets: dict[int, tuple[bytes, ...]] = {}
        if self._syntax is not None and extradata[:1] == b"\x01":  # avcC or hvcC
            self._filter = BitStreamFilterContext(self._syntax.annexb_filter, stream)
        elif self._syntax is not None:
            self._remember(extradata, self._syntax)
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
        packets = self._filter.filter(packet) if self._filter is not None else [packet]
        data = b"".join(bytes(part) for part in packets)
        if self._syntax is not None and is_iframe:
            data = self._with_parameter_sets(data, self._syntax)
        self._held.append(_Held(data, source_pts_s, is_iframe))

    def take(self, offset_s: float | None) -> Iterator[EncodedPicture]:
        """What has been added since. `offset_s` takes the source's clock to the stream's, None if it is as before;
        nothing comes out until it is known, which is once the first frame is numbered."""
        if offset_s is not None:
            self._offset_s = offset_s
        while self._held and self._offset_s is not None:
            held = self._held.popleft()
            yield EncodedPicture(
                held.data,
                held.source_pts_s + self._offset_s,
                held.is_iframe,
                self._codec,
                bool(self._context.has_b_frames),
            )

    def _with_parameter_sets(self, data: bytes, syntax: _NalSyntax) -> bytes:
        if self._remember(data, syntax) >= self._parameter_sets.keys():
            return data
        units = [unit for kind in sorted(self._parameter_sets) for unit in self._parameter_sets[kind]]
        start = 0
        if syntax.kind(next(nal_units(data))) == syntax.delimiter:  # it has to stay the first
            start = max(0, data.find(_START_CODE, len(_START_CODE)))
        return data[:start] + b"".join(_START_CODE + unit for unit in units) + data[start:]

    def _remember(self, data: bytes, syntax: _NalSyntax) -> frozenset[int]:
        """Keeps the parameter sets in `data`; returns which kinds it has."""
        found: dict[int, tuple[bytes, ...]] = {}
        for unit in nal_units(data):
            kind = syntax.kind(unit)
            if kind in syntax.parameter_sets:
                found[kind] = (*found.get(kind, ()), unit)
        self._parameter_sets |= found
        return frozenset(found)


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream (H.264 annex B), without start codes."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        end = data.find(b"\x00\x00\x01", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit
        start = end
