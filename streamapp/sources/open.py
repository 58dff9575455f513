"""From what a user wrote to a source."""

from __future__ import annotations

from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace, Source
from streamapp.sources.demo import DemoSource
from streamapp.sources.file import FileSource
from streamapp.sources.rtsp import RtspSource
from streamapp.sources.url import SourceAddress, SourceKind, parse
from streamapp.sources.webcam import WebcamSource


def open_source(
    spec: str,
    numbering: FrameNumbering,
    settings: SourceSettings,
    *,
    pace: Pace = Pace.REALTIME,
    loop: bool = False,
) -> Source:
    """The source for `spec`: a file path, rtsp://, rtsps://, webcam:0, webcam:/dev/video0 or demo. Opens nothing yet.
    Raises SourceUrlInvalid. `pace` and `loop` matter to recordings only. For specs that come over HTTP:
    `parse_untrusted`, then `source_at`."""
    return source_at(parse(spec), numbering, settings, pace=pace, loop=loop)


def source_at(
    address: SourceAddress,
    numbering: FrameNumbering,
    settings: SourceSettings,
    *,
    pace: Pace = Pace.REALTIME,
    loop: bool = False,
) -> Source:
    """The source at a parsed address. Opens nothing yet."""
    match address.kind:
        case SourceKind.DEMO:
            return DemoSource(numbering, settings, pace=pace, loop=loop)
        case SourceKind.RTSP:
            assert address.rtsp is not None
            return RtspSource(address.rtsp, numbering, settings, is_trusted=address.is_trusted)
        case SourceKind.WEBCAM:
            assert address.path is not None
            return WebcamSource(address.path, numbering, settings)
        case SourceKind.FILE:
            assert address.path is not None
            return FileSource(address.path, numbering, settings, pace=pace, loop=loop)
