"""What a peer may offer (SDP, RFC 8866), checked line by line before aiortc parses it: its parser takes quadratic time,
raises whatever it comes across, and sends packets to any address it is given."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from streamapp.errors import OfferInvalid, OfferTooLarge, OfferUnsupported
from streamapp.sections import WebRtcSettings

MAX_LINES = 1500
"""A browser's offer of audio, video and data has about 250."""
MAX_FORMATS = 96
"""Codecs in one media section; a browser's video section has about 40."""
MAX_WILDCARDS = 16
"""`a=rtcp-fb:*` lines in one media section; aiortc copies each to every codec."""
MAX_FRAGMENT_BYTES = 16_384
MIN_PORT = 1024
"""ICE uses ephemeral ports; below are services that a peer has no business naming."""

_MEDIA_LINE = re.compile(r"m=(audio|video|application) ([0-9]{1,5}) ([A-Z/]{3,32}) ([ -~]{1,512})")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_RTPMAP = re.compile(r"a=rtpmap:([0-9]{1,3}) ([!-.0-~]{1,32})/([0-9]{1,6})(/[0-9]+)?")


class VideoCodec(StrEnum):
    """What this server decodes and sends; the names are those of SDP."""

    VP8 = "VP8"
    H264 = "H264"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an SDP is read. from_this_machine: loopback addresses may be named."""

    settings: WebRtcSettings
    from_this_machine: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer. `sdp` has only candidates that may be contacted; `sends_video` and `takes_video` are the
    peer's side of the first video section."""

    sdp: str
    sends_video: bool
    takes_video: bool
    codecs: frozenset[VideoCodec]
    candidates: int
    ice_username: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """A checked trickle ICE fragment (RFC 8840 section 9)."""

    candidates: tuple[RTCIceCandidate, ...]
    ice_username: str | None


def read_offer(body: bytes, limits: Limits) -> Offer:
    """Raises OfferTooLarge, OfferInvalid or OfferUnsupported, with a reason for whoever wrote the offer."""
    lines = _lines(body, limits.settings.max_sdp_bytes)
    if not lines or lines[0] != "v=0":
        raise OfferInvalid("the body is no SDP: it must begin with v=0")
    sections = _sections(lines)
    if len(sections) - 1 > limits.settings.max_media_sections:
        raise OfferUnsupported(f"the offer has more than {limits.settings.max_media_sections} media sections")
    if sum(line.startswith("a=candidate:") for line in lines) > limits.settings.max_candidates:
        raise OfferTooLarge(f"the offer has more than {limits.settings.max_candidates} candidates")
    session, media = sections[0], sections[1:]
    for section in media:
        _check_section(session, section)
    _check_bundle(session, media)
    video = next((section for section in media if section[0].startswith("m=video")), None)
    if video is None:
        raise OfferUnsupported("the offer has no video")
    codecs = _codecs(video)
    if not codecs:
        raise OfferUnsupported("the offer has neither VP8 nor H264 (packetization-mode 1, Baseline)")
    direction = _direction(video) or "sendrecv"
    kept = [list(_kept(section, limits.from_this_machine)) for section in sections]
    return Offer(
        sdp="".join(f"{line}\r\n" for section in kept for line in section),
        sends_video=direction in ("sendrecv", "sendonly"),
        takes_video=direction in ("sendrecv", "recvonly"),
        codecs=codecs,
        candidates=sum(line.startswith("a=candidate:") for section in kept for line in section),
        ice_username=_attribute(session, media[0], "ice-ufrag") or "",
    )


def read_fragment(body: bytes, limits: Limits) -> Fragment:
    """Leaves out candidates that may not be contacted (RFC 9725 section 4.3.2). Raises OfferTooLarge, OfferInvalid."""
    lines = _lines(body, MAX_FRAGMENT_BYTES)
    username, section, mid = None, -1, None
    candidates = []
    for line in lines:
        if line.startswith("m="):
            section, mid = section + 1, None
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
        elif line.startswith("a=ice-ufrag:"):
            username = line.removeprefix("a=ice-ufrag:")
        elif line.startswith("a=candidate:"):
            if section < 0:
                raise OfferInvalid("a candidate stands before the first m= line")
            candidate = read_candidate(line.removeprefix("a="), from_this_machine=limits.from_this_machine)
            if candidate is not None:
                candidate.sdpMid, candidate.sdpMLineIndex = mid, section if mid is None else None
                candidates.append(candidate)
        elif not line.startswith("a="):
            raise OfferInvalid("the body is no trickle ICE fragment")
    if not lines:
        raise OfferInvalid("the fragment is empty")
    return Fragment(tuple(candidates), username)


def read_candidate(text: str, *, from_this_machine: bool) -> RTCIceCandidate | None:
    """A candidate that may be contacted, or None: other transports than UDP, names instead of addresses (`.local` would
    have this machine ask its network), and addresses that are no peer's. Raises OfferInvalid if it is malformed."""
    try:
        candidate = candidate_from_sdp(text.removeprefix("candidate:"))
    except (ValueError, AssertionError, IndexError) as error:
        raise OfferInvalid("a candidate is malformed") from error
    if candidate.protocol.lower() != "udp" or not MIN_PORT <= candidate.port <= 65535 or candidate.component != 1:
        return None
    try:
        address = ipaddress.ip_address(candidate.ip)
    except ValueError:
        return None
    return candidate if _may_be_contacted(address, from_this_machine) else None


def answered_codec(answer: str) -> VideoCodec | None:
    """The video codec that an answer of ours settles on: the first of its video section."""
    for section in _sections(answer.splitlines())[1:]:
        if section[0].startswith("m=video"):
            payload_types = section[0].split()[3:]
            names = {match[1]: match[2] for line in section if (match := _RTPMAP.fullmatch(line))}
            name = names.get(payload_types[0], "") if payload_types else ""
            return VideoCodec(name) if name in set(VideoCodec) else None
    return None


def _lines(body: bytes, max_bytes: int) -> list[str]:
    if len(body) > max_bytes:
        raise OfferTooLarge(f"the SDP is larger than {max_bytes} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OfferInvalid("the SDP is not UTF-8") from error
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if len(lines) > MAX_LINES:
        raise OfferTooLarge(f"the SDP has more than {MAX_LINES} lines")
    if not all(line.isprintable() for line in lines):
        raise OfferInvalid("the SDP contains control characters")
    return lines


def _sections(lines: list[str]) -> list[list[str]]:
    """The session's lines, then those of each media section."""
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _check_section(session: list[str], section: list[str]) -> None:
    match = _MEDIA_LINE.fullmatch(section[0])
    if match is None:
        raise OfferInvalid(f"malformed media section: {section[0][:80]}")
    formats = sum(line.startswith("a=rtpmap:") for line in section)
    if formats > MAX_FORMATS or sum(line.startswith("a=rtcp-fb:*") for line in section) > MAX_WILDCARDS:
        raise OfferTooLarge(f"a media section has more than {MAX_FORMATS} codecs or {MAX_WILDCARDS} a=rtcp-fb:* lines")
    if match[2] == "0" and "a=bundle-only" not in section:
        raise OfferUnsupported("the offer has a rejected media section (port 0)")
    for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
        if _attribute(session, section, name) is None:
            raise OfferInvalid(f"a media section has no a={name}")


def _check_bundle(session: list[str], media: list[list[str]]) -> None:
    """Every section has a name of its own, and what is bundled is there (RFC 9143): aiortc would be left with half a
    connection that it cannot even close."""
    mids = [_attribute([], section, "mid") for section in media]
    bundled = [mid for line in session if line.startswith("a=group:BUNDLE") for mid in line.split()[1:]]
    if None in mids or len(set(mids)) < len(mids) or not set(bundled) <= set(mids):
        raise OfferInvalid("the media sections have no a=mid, the same one, or not those named in a=group:BUNDLE")


def _attribute(session: list[str], section: list[str], name: str) -> str | None:
    """The value that holds in a section: its own, else the session's."""
    return next((line.partition(":")[2] for line in section + session if line.startswith(f"a={name}:")), None)


def _direction(section: list[str]) -> str | None:
    return next((line[2:] for line in section if line[2:] in _DIRECTIONS and line.startswith("a=")), None)


def _codecs(video: list[str]) -> frozenset[VideoCodec]:
    """Those of ours that the section offers. H264 needs packetization-mode 1 (RFC 6184 section 5.4) and a Baseline
    profile, which is what aiortc negotiates."""
    found = set()
    for line in video:
        match = _RTPMAP.fullmatch(line)
        if match is None or match[3] != "90000":
            continue
        if match[2].upper() == VideoCodec.VP8:
            found.add(VideoCodec.VP8)
        elif match[2].upper() == VideoCodec.H264:
            fmtp = next((entry for entry in video if entry.startswith(f"a=fmtp:{match[1]} ")), "").lower()
            if "packetization-mode=1" in fmtp and ("profile-level-id" not in fmtp or "profile-level-id=42" in fmtp):
                found.add(VideoCodec.H264)
    return frozenset(found)


def _kept(section: list[str], from_this_machine: bool) -> Iterator[str]:
    """The section without candidates that may not be contacted and without end-of-candidates: as more can be learned
    from the peer's own checks, only the handshake's time limit ends the search."""
    for line in section:
        if line.startswith("a=candidate:"):
            if read_candidate(line.removeprefix("a="), from_this_machine=from_this_machine) is None:
                continue
        elif line == "a=end-of-candidates":
            continue
        yield line
    if section and section[0].startswith(("m=audio", "m=video")) and _direction(section) is None:
        yield "a=sendrecv"  # RFC 8866 section 6.7: so it is if nothing is said


def _may_be_contacted(address: ipaddress.IPv4Address | ipaddress.IPv6Address, from_this_machine: bool) -> bool:
    if address.is_loopback:
        return from_this_machine
    mapped = isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    nobody = address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved
    return not (mapped or nobody)
