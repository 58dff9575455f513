"""Offers and fragments, good and bad. The good ones are a real peer's."""

from __future__ import annotations

import contextlib

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import OfferInvalid, OfferTooLarge, OfferUnsupported
from streamapp.sections import WebRtcSettings
from streamapp.server.sdp import (
    MAX_FRAGMENT_BYTES,
    MAX_LINES,
    Limits,
    VideoCodec,
    answered_codec,
    read_candidate,
    read_fragment,
    read_offer,
)

LIMITS = Limits(WebRtcSettings(), from_this_machine=False)
LOCAL = Limits(WebRtcSettings(), from_this_machine=True)

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
SESSION = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=msid-semantic: WMS"]
TRANSPORT = ["a=ice-ufrag:EsAw", "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y", FINGERPRINT, "a=setup:actpass"]
VIDEO = [
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *TRANSPORT,
    "a=mid:0",
    "a=sendonly",
    "a=rtcp-mux",
    "a=rtpmap:96 VP8/90000",
    "a=rtcp-fb:96 nack pli",
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
    "a=rtpmap:98 H264/90000",
    "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "a=rtpmap:99 H265/90000",
    "a=rtpmap:100 AV1/90000",
    "a=candidate:1 1 udp 2122260223 192.168.1.7 61764 typ host generation 0 ufrag EsAw network-id 1",
]
DATA = [
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    *TRANSPORT,
    "a=mid:1",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
]


def text(*sections: list[str], session: list[str] = SESSION) -> bytes:
    return "".join(f"{line}\r\n" for line in [*session, *(line for section in sections for line in section)]).encode()


def replaced(section: list[str], old: str, new: str | None) -> list[str]:
    """The section with the lines that begin with `old` replaced, or taken out."""
    out = [line if not line.startswith(old) else new for line in section]
    assert out != section, "nothing replaced"
    return [line for line in out if line is not None]


# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_browsers_offer_is_read() -> None:
    offer = read_offer(text(VIDEO, DATA, session=[*SESSION, "a=group:BUNDLE 0 1"]), LIMITS)
    assert offer.sends_video
    assert not offer.takes_video
    assert offer.codecs == {VideoCodec.VP8, VideoCodec.H264}
    assert offer.candidates == 1
    assert offer.ice_username == "EsAw"
    assert SessionDescription.parse(offer.sdp).media[0].ice_candidates[0].ip == "192.168.1.7"


@pytest.mark.parametrize(
    ("line", "sends", "takes"),
    [("a=sendrecv", True, True), ("a=recvonly", False, True), ("a=inactive", False, False), (None, True, True)],
)
def test_directions(line: str | None, sends: bool, takes: bool) -> None:
    offer = read_offer(text(replaced(VIDEO, "a=sendonly", line)), LIMITS)
    assert (offer.sends_video, offer.takes_video) == (sends, takes)
    assert SessionDescription.parse(offer.sdp).media[0].direction is not None, "aiortc cannot do without"


def test_attributes_of_the_session_hold_for_its_sections() -> None:
    video = [line for line in VIDEO if line not in TRANSPORT]
    assert read_offer(text(video, session=[*SESSION, *TRANSPORT]), LIMITS).ice_username == "EsAw"


def test_line_ends_may_be_bare() -> None:
    assert read_offer(text(VIDEO).replace(b"\r\n", b"\n"), LIMITS).sends_video


async def test_the_codec_of_an_answer_is_the_first_that_was_negotiated() -> None:
    for wanted, fmt in ((VideoCodec.VP8, "96 98"), (VideoCodec.H264, "98 96")):
        pc = RTCPeerConnection()
        lines = replaced(VIDEO, "m=video", f"m=video 9 UDP/TLS/RTP/SAVPF {fmt}")
        if wanted is VideoCodec.H264:  # the order is that of the rtpmap lines
            lines = [line for line in lines if ":96" not in line and ":97" not in line]
        await pc.setRemoteDescription(RTCSessionDescription(read_offer(text(lines), LOCAL).sdp, "offer"))
        assert answered_codec((await pc.createAnswer()).sdp) is wanted
        await pc.close()
    assert answered_codec("v=0\r\n") is None


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"hello",
        b'{"type": "offer"}',
        b"\xff\xfe",
        b"v=0\r\n\x00",
        b"v=1\r\n",
        text(["m=video 9 UDP/TLS/RTP/SAVPF"]),
        text(["m=screen 9 UDP/TLS/RTP/SAVPF 96"]),
        *(text(replaced(VIDEO, start, None)) for start in ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup")),
        text(replaced(VIDEO, "a=mid", None)),
        text(VIDEO, replaced(DATA, "a=mid", "a=mid:0")),
        text(VIDEO, DATA, session=[*SESSION, "a=group:BUNDLE 0 7"]),
        text([*VIDEO, "a=candidate:1 1 udp"]),
        text([*VIDEO, "a=candidate:1 one udp 1 192.168.1.7 61764 typ host"]),
    ],
)
def test_what_is_no_offer_is_invalid(body: bytes) -> None:
    with pytest.raises(OfferInvalid) as caught:
        read_offer(body, LIMITS)
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "body",
    [
        text(),
        text(DATA),
        text(replaced(replaced(VIDEO, "a=rtpmap:96", None), "a=rtpmap:98", None)),
        text(replaced(replaced(VIDEO, "a=rtpmap:96", None), "a=fmtp:98", "a=fmtp:98 profile-level-id=640032")),
        text(replaced(replaced(VIDEO, "a=rtpmap:96", None), "a=fmtp:98", "a=fmtp:98 packetization-mode=0")),
        text(VIDEO, DATA, DATA, DATA, DATA),
        text(*[VIDEO] * 64),
        text(replaced(VIDEO, "m=video", "m=video 0 UDP/TLS/RTP/SAVPF 96")),
    ],
)
def test_what_this_server_does_not_do_is_unsupported(body: bytes) -> None:
    with pytest.raises(OfferUnsupported) as caught:
        read_offer(body, LIMITS)
    assert caught.value.http_status == 422


@pytest.mark.parametrize(
    "body",
    [
        text(VIDEO) + b"a=x:" + b"y" * 70_000,
        text(VIDEO) + b"a=x\r\n" * MAX_LINES,
        text([*VIDEO, *["a=candidate:1 1 udp 1 192.168.1.7 61764 typ host"] * 32]),
        text([*VIDEO, *["a=rtpmap:120 VP8/90000"] * 700]),
        text([*VIDEO, *["a=rtcp-fb:* nack"] * 700]),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(OfferTooLarge) as caught:
        read_offer(body, LIMITS)
    assert caught.value.http_status == 413


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_offer_raises_anything_else(data: st.DataObject) -> None:
    """Lines dropped, doubled, swapped, cut and scribbled over."""
    lines = [*SESSION, *VIDEO, *DATA]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "swap", "cut", "scribble"]))
        if change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(at, lines[at])
        elif change == "swap":
            lines[at], lines[0] = lines[0], lines[at]
        elif change == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        else:
            lines[at] += data.draw(st.text(max_size=20))
    with contextlib.suppress(OfferInvalid):
        read_offer("\r\n".join(lines).encode("utf-8", "surrogatepass"), LIMITS)


# -- candidates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["192.168.1.7", "10.0.0.2", "203.0.113.5", "fd00::1", "2001:db8::1"])
def test_addresses_of_peers_are_kept(address: str) -> None:
    candidate = read_candidate(f"candidate:1 1 udp 1 {address} 61764 typ host", from_this_machine=False)
    assert candidate is not None
    assert candidate.ip == address


@pytest.mark.parametrize(
    "rest",
    [
        "udp 1 3f2a.local 61764 typ host",
        "udp 1 metadata.google.internal 61764 typ host",
        "udp 1 169.254.169.254 61764 typ host",
        "udp 1 fe80::1 61764 typ host",
        "udp 1 0.0.0.0 61764 typ host",
        "udp 1 224.0.0.251 5353 typ host",
        "udp 1 ff02::fb 5353 typ host",
        "udp 1 255.255.255.255 61764 typ host",
        "udp 1 ::ffff:10.0.0.1 61764 typ host",
        "udp 1 2002:0a00:0001::1 61764 typ host",
        "udp 1 127.0.0.1 61764 typ host",
        "udp 1 ::1 61764 typ host",
        "udp 1 2130706433 61764 typ host",
        "udp 1 0x7f.1 61764 typ host",
        "udp 1 192.168.1.1 53 typ host",
        "udp 1 192.168.1.1 0 typ host",
        "udp 1 192.168.1.1 70000 typ host",
        "tcp 1 192.168.1.1 9000 typ host tcptype active",
    ],
)
def test_addresses_of_nobody_are_left_out(rest: str) -> None:
    line = f"a=candidate:1 1 {rest}"
    assert read_candidate(line.removeprefix("a="), from_this_machine=False) is None
    offer = read_offer(text([*replaced(VIDEO, "a=candidate", None), line]), LIMITS)
    assert offer.candidates == 0
    assert "candidate" not in offer.sdp


def test_loopback_is_for_peers_on_this_machine() -> None:
    line = "candidate:1 1 udp 1 127.0.0.1 61764 typ host"
    assert read_candidate(line, from_this_machine=True) is not None


def test_the_search_goes_on_after_the_end_of_candidates() -> None:
    """The peer's own checks may come from addresses it did not name."""
    assert "end-of-candidates" not in read_offer(text([*VIDEO, "a=end-of-candidates"]), LIMITS).sdp


# -- fragments ---------------------------------------------------------------------------------------------------------

FRAGMENT = (
    b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    b"a=candidate:1 1 udp 2122260223 192.168.1.7 61764 typ host\r\n"
    b"a=candidate:2 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active\r\n"
    b"a=candidate:3 1 udp 2122194687 3f2a.local 61765 typ host\r\na=end-of-candidates\r\n"
)


def test_a_fragment_gives_its_usable_candidates() -> None:
    fragment = read_fragment(FRAGMENT, LIMITS)
    assert [(candidate.ip, candidate.sdpMid) for candidate in fragment.candidates] == [("192.168.1.7", "0")]
    assert fragment.ice_username == "EsAw"


def test_a_fragment_may_name_its_section_by_position() -> None:
    fragment = read_fragment(FRAGMENT.replace(b"a=mid:0\r\n", b""), LIMITS)
    assert [(candidate.sdpMid, candidate.sdpMLineIndex) for candidate in fragment.candidates] == [(None, 0)]


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"a=candidate:1 1 udp 1 192.168.1.7 61764 typ host", b"m=video 9 X 1\r\na=candidate:x"]
)
def test_what_is_no_fragment_is_invalid(body: bytes) -> None:
    with pytest.raises(OfferInvalid):
        read_fragment(body, LIMITS)


def test_a_large_fragment_is_refused() -> None:
    with pytest.raises(OfferTooLarge):
        read_fragment(FRAGMENT + b"a=x" * MAX_FRAGMENT_BYTES, LIMITS)
