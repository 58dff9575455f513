"""What the payload of an RTP packet, or a whole coded picture, says of itself: VP8 (RFC 7741) and H264 (RFC 6184)."""

from __future__ import annotations

_H264_SLICES = range(1, 6)
_H264_IDR = 5
_H264_SPS = 7
_H264_DELIMITER = 9
_H264_STAP_A = 24


def starts_frame(codec: str, payload: bytes) -> bool:
    """Whether a packet says that it is the first of its picture. H264 says so only where parameter sets or a delimiter
    begin the picture, as they do before I-frames."""
    if not payload:
        return False
    if codec.upper() == "VP8":
        return bool(payload[0] & 0x10) and not payload[0] & 0x07  # S bit set, first partition
    nal_type = payload[0] & 0x1F
    if nal_type == _H264_STAP_A:
        nal_type = payload[3] & 0x1F if len(payload) > 3 else 0
    return nal_type in (_H264_SPS, _H264_DELIMITER)


def is_iframe(codec: str, picture: bytes) -> bool:
    """Whether a picture (H264: Annex B) can be decoded without any before it."""
    if codec.upper() == "VP8":
        return len(picture) > 0 and not picture[0] & 0x01  # RFC 6386 section 9.1
    position = picture.find(b"\x00\x00\x01")
    while 0 <= position < len(picture) - 3:
        nal_type = picture[position + 3] & 0x1F
        if nal_type in _H264_SLICES:
            return nal_type == _H264_IDR
        position = picture.find(b"\x00\x00\x01", position + 3)
    return False
