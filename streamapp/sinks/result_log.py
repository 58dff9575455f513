"""The results of a stream, kept in memory."""

from __future__ import annotations

from streamapp.results import FrameResult
from streamapp.sinks.base import Inbox


class ResultLog:
    """A sink that keeps every result, without its frame."""

    lossless = True

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            self.results.append(output.result)
