"""I-frames that arrive in pieces, put together again.

Some servers (GStreamer's payloader with config-interval=-1 behind x264's sliced threads) send the parameter sets before
every slice of an I-frame. FFmpeg's parser takes each for a new picture; decoded apart they give half-green frames.
"""

from __future__ import annotations

from typing import cast

import av


class PictureJoiner:
    """Puts packets with the same presentation time together. Only the first I-frame, and those of a stream that is
    known to split them, wait for the packet after them; all else passes at once."""

    def __init__(self) -> None:
        self._held: list[av.Packet[av.VideoStream]] = []
        self._splits = True  # unknown until the first I-frame is over

    def add(self, packet: av.Packet[av.VideoStream]) -> list[av.Packet[av.VideoStream]]:
        """What can be decoded now. A packet without data ends the stream and lets everything go."""
        ready: list[av.Packet[av.VideoStream]] = []
        if self._held:
            if packet.size and packet.is_keyframe and (packet.pts or 0) == (self._held[0].pts or 0):
                self._held.append(packet)
                return []
            self._splits = len(self._held) > 1
            ready.append(_joined(self._held))
            self._held = []
        if packet.size and packet.is_keyframe and self._splits:
            self._held.append(packet)
        else:
            ready.append(packet)
        return ready


def _joined(pieces: list[av.Packet[av.VideoStream]]) -> av.Packet[av.VideoStream]:
    first = pieces[0]
    if len(pieces) == 1:
        return first
    whole = cast("av.Packet[av.VideoStream]", av.Packet(b"".join(bytes(piece) for piece in pieces)))
    whole.stream, whole.time_base = first.stream, first.time_base
    whole.pts, whole.dts, whole.is_keyframe = first.pts, first.dts, True
    return whole
