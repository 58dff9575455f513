"""One coded picture, as a source sent it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One coded picture as the source sent it (H264: Annex B, with parameter sets before every I-frame)."""

    data: bytes
    pts_s: float
    """That of the `Frame` it decodes to."""
    is_iframe: bool
    codec: str
    """FFmpeg's name: h264, hevc, vp8."""
    has_b_frames: bool
    dts_s: float | None = None
    """When it is to be decoded, on the clock of `pts_s`; None: then, or the source does not say."""
