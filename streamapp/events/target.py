"""Whom events are sent to, and how that goes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from streamapp.choices import EventKind
from streamapp.events.message import EventMessage


class Outcome(StrEnum):
    """What became of an event."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """The target will not have it."""
    GIVEN_UP = "given_up"
    """It waited too long."""
    QUEUE_FULL = "queue_full"
    CLOSED = "closed"
    """The app ended, or the target wants no more."""


class TargetState(StrEnum):
    OK = "ok"
    FAILING = "failing"
    GONE = "gone"
    """It said that it wants no more events; it gets none until the next start."""


@dataclass(frozen=True, slots=True)
class TargetHealth:
    name: str
    state: TargetState
    waiting: int
    retries: int
    outcomes: dict[Outcome, int]
    error: str | None
    """Why it is failing."""


class Link(Protocol):
    """A target that can be reached."""

    async def greet(self) -> bool:
        """Says to the target that we are here. False if only `send` can tell whether it is there. Raises as `send`."""

    async def send(self, message: EventMessage) -> None:
        """Returns once the target has it. Raises DeliveryFailed, DeliveryRefused or TargetGone."""

    async def watch(self) -> None:
        """Raises DeliveryFailed once the target can no longer be reached; returns if only `send` can tell."""


class Target(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Which events it gets; empty: all."""

    def connect(self) -> AbstractAsyncContextManager[Link]:
        """Raises DeliveryFailed."""
