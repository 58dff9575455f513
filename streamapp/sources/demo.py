"""The clip that comes with the app, as a source: what it shows is in recordings/README.md."""

from __future__ import annotations

from streamapp.assets import asset
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace
from streamapp.sources.file import FileSource


class DemoSource(FileSource):
    """A file source of recordings/demo.mp4."""

    def __init__(self, numbering: FrameNumbering, settings: SourceSettings, *, pace: Pace, loop: bool = False) -> None:
        super().__init__(asset("recordings/demo.mp4"), numbering, settings, pace=pace, loop=loop)
