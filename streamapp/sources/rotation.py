"""Pictures that a phone stored lying on their side, turned upright: detectors do not find sideways faces."""

from __future__ import annotations

import av
from av.filter import Graph

_TURNS = {90: ("transpose=cclock",), -90: ("transpose=clock",), 180: ("hflip", "vflip"), -180: ("hflip", "vflip")}
"""By the display matrix's angle in degrees, counted counterclockwise (ISO/IEC 14496-12, 8.3.2)."""


class Upright:
    """Turns the frames of one stream by the multiple of 90 degrees that their display matrix asks for."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str, int] | None = None

    def turned(self, video: av.VideoFrame) -> av.VideoFrame:
        """The frame upright; itself if it is upright already. Raises av.error.FFmpegError."""
        turns = _TURNS.get(video.rotation)
        if turns is None:
            return video
        shape = (video.width, video.height, video.format.name, video.rotation)
        if self._graph is None or self._shape != shape:
            self._graph, self._shape = _turning_graph(video, turns), shape
        self._graph.vpush(video)
        return self._graph.vpull()


def _turning_graph(video: av.VideoFrame, turns: tuple[str, ...]) -> Graph:
    graph = Graph()
    last = graph.add_buffer(width=video.width, height=video.height, format=video.format, time_base=video.time_base)
    for turn in turns:
        name, _, argument = turn.partition("=")
        following = graph.add(name, argument or None)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
