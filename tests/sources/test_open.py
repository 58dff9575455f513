"""From what a user wrote to the kind of source."""

from __future__ import annotations

import pytest

from streamapp.errors import SourceUrlInvalid
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering
from streamapp.sources.demo import DemoSource
from streamapp.sources.file import FileSource
from streamapp.sources.open import open_source
from streamapp.sources.rtsp import RtspSource
from streamapp.sources.webcam import WebcamSource


@pytest.mark.parametrize(
    ("spec", "kind", "live"),
    [
        ("clip.mp4", FileSource, False),
        ("demo", DemoSource, False),
        ("rtsp://cam/x", RtspSource, True),
        ("rtsps://cam/x", RtspSource, True),
        ("webcam:0", WebcamSource, True),
        ("webcam:/dev/video2", WebcamSource, True),
    ],
)
def test_each_kind_of_source_is_known(spec: str, kind: type, live: bool) -> None:
    source = open_source(spec, FrameNumbering("x"), SourceSettings())
    assert type(source) is kind
    assert source.live is live


def test_anything_else_says_what_can_be_opened() -> None:
    with pytest.raises(SourceUrlInvalid, match="a video file, rtsp://"):
        open_source("http://cam/x", FrameNumbering("x"), SourceSettings())
