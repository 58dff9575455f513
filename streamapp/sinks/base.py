"""What a sink is, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamapp.frame import Box, Frame
from streamapp.results import FrameResult


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A frame and everything known about it when it left the pump. Of a private stream no sink gets another picture."""

    frame: Frame
    result: FrameResult
    veiled: tuple[Box, ...] | None = None
    """What is blurred in the picture, in pixels of the result; None: the stream is not private."""


class Inbox(Protocol):
    """What a sink reads from: a mailbox with one slot."""

    async def get(self) -> Output | None:
        """The next output, or None once the stream has ended and nothing is left."""


class Sink(Protocol):
    @property
    def lossless(self) -> bool:
        """Whether the pump must wait for this sink rather than drop (recordings made as fast as possible)."""

    async def run(self, inbox: Inbox) -> None:
        """Consumes the inbox until it ends or the task is cancelled, then frees and finalises everything."""
