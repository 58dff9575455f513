"""Pictures coded into one MP4 file that plays even after the process was killed.

It is written in fragments (ISO/IEC 14496-12 section 8.8), each beginning with an I-frame and flushed when complete, so
a cut loses at most one; a finished file is a plain MP4, which players seek in faster. Owned by one thread; FFmpeg's
errors come out as they are, for the owner to map.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.video.frame import PictureType

from streamapp.sections import RecordingSettings

TIME_BASE = Fraction(1, 90_000)
_CONTAINER_OPTIONS = {
    "movflags": "hybrid_fragmented+frag_keyframe+default_base_moof",
    "flush_packets": "1",
    "use_editlist": "0",  # times stay as they are written
}


class Seekable(Protocol):
    """What FFmpeg needs of a file that it writes to."""

    def write(self, data: bytes) -> int: ...

    def seek(self, offset: int, whence: int = ...) -> int: ...

    def tell(self) -> int: ...


class EncodedVideo:
    """A file of H264 in one size and kind of colours, those of the picture `like`. Its time 0 is `pts_s`."""

    def __init__(self, file: Path | Seekable, like: av.VideoFrame, pts_s: float, settings: RecordingSettings) -> None:
        self.width, self.height = like.width, like.height
        self._segment_s = settings.segment_s
        self._first_pts_s = pts_s
        self._segment_start_s = float("-inf")
        target = str(file) if isinstance(file, Path) else file
        self._container = av.open(target, "w", format="mp4", options=_CONTAINER_OPTIONS)
        # zerolatency keeps no pictures back in the encoder, so a cut loses none but the open fragment
        options = {"preset": "superfast", "tune": "zerolatency", "crf": str(settings.crf), "forced-idr": "1"}
        self._stream = self._container.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = like.width, like.height, "yuv420p"
        coder = self._stream.codec_context
        coder.color_range, coder.colorspace = like.color_range, like.colorspace  # JPEGs have the full range
        self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.gop_size = 10_000  # I-frames are placed by hand, one per segment

    def write(self, picture: av.VideoFrame, pts_s: float) -> None:
        """Codes a yuv420p picture of the file's size; its type and time are overwritten."""
        starts_segment = pts_s - self._segment_start_s >= self._segment_s
        if starts_segment:
            self._segment_start_s = pts_s
        picture.pict_type = PictureType.I if starts_segment else PictureType.NONE
        picture.pts = round((pts_s - self._first_pts_s) / TIME_BASE)
        picture.time_base = TIME_BASE
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finalises the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
