"""One video file of a recording: coded pictures as they came, or frames coded here.

Finished MP4 files are plain ones; until then, and after a kill, they are fragmented and play up to the last fragment.
WebM files are cut into clusters in the same way.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamapp.frame import Frame
from streamapp.recording.entry import VideoPart
from streamapp.recording.video_file import VideoFile
from streamapp.sections import RecordingSettings
from streamapp.sinks.encoded_video import EncodedVideo
from streamapp.sinks.webrtc_track import PicturePlain
from streamapp.sources.base import EncodedPicture
from streamapp.sources.coded import ParameterSets

CONTAINERS = {"h264": "mp4", "hevc": "mp4", "vp8": "webm", "vp9": "webm"}
"""How pictures are kept as they came, by codec. Of others, browsers play none; they are coded anew."""
_TIME_BASE = Fraction(1, 90_000)
_FRAGMENT_S = 0.5
"""Where no I-frame has to begin them, fragments shorter than a segment cost nothing."""


class RemuxedPart:
    """Coded pictures of one codec and, for H264 and H265, one set of parameters. Begins with an I-frame."""

    encoded = False

    def __init__(
        self, file: VideoFile, iframe: EncodedPicture, size: tuple[int, int], settings: RecordingSettings
    ) -> None:
        """`size`: width and height, for codecs whose pictures are not asked for it."""
        self.file = file
        self.codec = iframe.codec
        self.width, self.height = size
        self.start_pts_s = self.newest_pts_s = iframe.pts_s
        self.pictures = 0
        self._sets = _parameter_sets(iframe)
        self._last_dts: int | None = None
        self._container, self._stream = self._open(iframe, settings)

    def goes_on_with(self, picture: EncodedPicture) -> bool:
        """Whether a picture may follow in this file."""
        if picture.codec != self.codec:
            return False
        return not picture.is_iframe or _parameter_sets(picture) == self._sets

    def write(self, picture: EncodedPicture) -> bool:
        """False if the picture has no place: its time is not after those before, or it shows before the first one and
        needs what came before that."""
        pts = round((picture.pts_s - self.start_pts_s) / _TIME_BASE)
        dts = pts
        if picture.dts_s is not None:
            dts = round((picture.dts_s - self.start_pts_s) / _TIME_BASE)
        elif picture.has_b_frames and self._last_dts is not None:  # Matroska does not say it of its first pictures
            dts = self._last_dts + 1
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        if dts > pts or pts < 0:
            return False
        packet = av.Packet(picture.data)
        packet.pts, packet.dts, packet.time_base = pts, dts, _TIME_BASE
        packet.stream, packet.is_keyframe = self._stream, picture.is_iframe
        self._last_dts = dts
        self._container.mux(packet)
        self.pictures += 1
        self.newest_pts_s = max(self.newest_pts_s, picture.pts_s)
        return True

    def close(self) -> None:
        """Finalises the file."""
        self._container.close()

    def _open(self, iframe: EncodedPicture, settings: RecordingSettings) -> tuple[OutputContainer, VideoStream]:
        fragment_s = min(settings.segment_s, _FRAGMENT_S)
        if CONTAINERS[self.codec] == "webm":
            options = {"cluster_time_limit": str(round(fragment_s * 1e3)), "flush_packets": "1"}
            container = av.open(self.file, "w", format="webm", options=options)
            stream = container.add_mux_stream(self.codec, width=self.width, height=self.height)
            assert isinstance(stream, VideoStream)
        else:
            options = {
                # Without negative offsets seeking goes by decoding times, and with B-frames past the picture.
                "movflags": "hybrid_fragmented+default_base_moof+negative_cts_offsets+empty_moov",
                "frag_duration": str(round(fragment_s * 1e6)),
                "flush_packets": "1",
                "use_editlist": "0",  # times stay as they are written
            }
            container = av.open(self.file, "w", format="mp4", options=options)
            with av.open(io.BytesIO(iframe.data), "r", format=self.codec) as probe:  # reads the parameter sets
                template = probe.streams.video[0]
                self.width, self.height = template.width, template.height
                stream = container.add_stream_from_template(template)
        stream.time_base = _TIME_BASE
        return container, stream


class EncodedPart:
    """Frames of one size, coded here."""

    codec = "h264"
    encoded = True

    def __init__(self, file: VideoFile, frame: Frame, settings: RecordingSettings) -> None:
        self.file = file
        self.start_pts_s = self.newest_pts_s = frame.pts_s
        self.pictures = 0
        self._plain = PicturePlain()
        self._video = EncodedVideo(file, self._plain.copy(frame), frame.pts_s, settings)
        self.width, self.height = self._video.width, self._video.height

    def goes_on_with(self, frame: Frame) -> bool:
        return (self.width, self.height) == (max(2, frame.width & ~1), max(2, frame.height & ~1))

    def write(self, frame: Frame) -> None:
        self._video.write(self._plain.copy(frame), frame.pts_s)
        self.pictures += 1
        self.newest_pts_s = frame.pts_s

    def close(self) -> None:
        """Finalises the file."""
        self._video.close()


def described(part: RemuxedPart | EncodedPart) -> VideoPart:
    """What is written down of a part."""
    shown_s = part.newest_pts_s - part.start_pts_s
    interval_s = shown_s / (part.pictures - 1) if part.pictures > 1 else 0.0
    return VideoPart(
        file=part.file.path.name,
        codec=part.codec,
        encoded=part.encoded,
        width=part.width,
        height=part.height,
        start_pts_s=round(part.start_pts_s, 6),
        last_pts_s=round(part.newest_pts_s, 6),
        seconds=round(shown_s + interval_s, 3),
        pictures=part.pictures,
    )


def _parameter_sets(iframe: EncodedPicture) -> bytes:
    sets = ParameterSets(iframe.codec)
    sets.remember(iframe.data)
    return sets.annexb
