"""I-frames that come in pieces."""

from __future__ import annotations

from fractions import Fraction

import av

from streamapp.sources.joining import PictureJoiner


def packet(pts: int | None, data: bytes = b"x", *, key: bool = False) -> av.Packet[av.VideoStream]:
    with av.open("null.h264", "w", format="null") as container:
        stream = container.add_stream("libx264", rate=30)
    made: av.Packet[av.VideoStream] = av.Packet(data)  # type: ignore[assignment]  # its stream is set next
    made.stream = stream
    made.pts, made.time_base, made.is_keyframe = pts, Fraction(1, 90_000), key
    return made


def joined(*packets: av.Packet[av.VideoStream]) -> list[list[bytes]]:
    """What comes out after each packet that goes in."""
    joiner = PictureJoiner()
    return [[bytes(ready) for ready in joiner.add(each)] for each in packets]


def test_the_first_iframe_waits_for_the_next_packet_and_later_ones_do_not() -> None:
    packets = packet(0, b"I", key=True), packet(3000, b"P"), packet(6000, b"J", key=True), packet(9000, b"P")
    assert joined(*packets) == [[], [b"I", b"P"], [b"J"], [b"P"]]


def test_pieces_with_the_same_time_become_one_picture() -> None:
    pieces = packet(0, b"a", key=True), packet(0, b"b", key=True), packet(3000, b"P")
    later = packet(6000, b"c", key=True), packet(6000, b"d", key=True), packet(9000, b"P")
    assert joined(*pieces, *later) == [[], [], [b"ab", b"P"], [], [], [b"cd", b"P"]]


def test_a_first_piece_without_a_time_belongs_to_time_zero() -> None:
    pieces = packet(None, b"a", key=True), packet(0, b"b", key=True), packet(3000, b"P")
    assert joined(*pieces)[-1] == [b"ab", b"P"]


def test_the_end_lets_go_of_what_is_held() -> None:
    assert joined(packet(0, b"I", key=True), packet(None, b""))[-1] == [b"I", b""]
