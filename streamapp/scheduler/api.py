"""What the scheduler is asked, and what it answers: contracts without code.

A job is one operation on some items, whose pixels it owns. Every job ends as exactly one Outcome; none is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from streamapp.errors import ModelError
from streamapp.results import DropReason
from streamapp.zoo.base import ModelSession, Operation

Item = TypeVar("Item")
Value = TypeVar("Value")
ValueOut = TypeVar("ValueOut", covariant=True)


class Priority(IntEnum):
    """Which jobs come first; a lower number comes earlier."""

    NEW_FACE = 0
    UNCERTAIN = 1
    """A face of which something is not decided yet."""
    REFRESH = 2
    IMAGE = 3
    """A picture sent to the API, by a client that waits."""
    BACKGROUND = 4
    """Nobody waits for it: a recording that is replayed."""


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[Item, Value]):
    """Work for models. `deadline_s` is the `time.monotonic()` after which nobody wants its result."""

    operation: Operation[Item, Value]
    items: Sequence[Item]
    owner: str
    """The stream or client it is for: nobody's jobs may crowd out another's."""
    priority: Priority
    deadline_s: float
    reason: str
    """Why it is wanted, as results and metrics show it."""


@dataclass(frozen=True, slots=True)
class ModelRun:
    """A model that took part, and what really ran it."""

    variant: str
    provider: str


@dataclass(frozen=True, slots=True, eq=False)
class Done(Generic[ValueOut]):
    """One value per item, in their order."""

    values: Sequence[ValueOut]
    models: tuple[ModelRun, ...]
    queued_s: float
    run_s: float
    """How long the batch ran of which this job was a part."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """It was not run."""

    reason: DropReason
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A model could not be loaded, or gave an error."""

    error: ModelError


Outcome = Done[Value] | Dropped | Failed


class Scheduler(Protocol):
    """Runs jobs. Used on the event loop's thread."""

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        """Returns once the job has ended, however it did; raises nothing of its own. Cancelling the call cancels the
        job if it is still waiting."""


class Lease(Protocol):
    """Loaded models that stay loaded until `release`. Its methods are called on the event loop's thread, the sessions
    are run on any."""

    @property
    def sessions(self) -> Mapping[str, ModelSession]:
        """By variant."""

    def release(self) -> None:
        """Gives them back; they may be evicted from now on. Idempotent."""


class Residency(Protocol):
    """Says which models are in memory. Used on the event loop's thread."""

    async def lease(self, variants: Sequence[str], *, deadline_s: float) -> Lease:
        """Loads what is not loaded, evicting what is idle if there is no room. Cancelling the call is safe.

        Raises ModelMissing, ModelInvalid, RuntimeMissing; OverBudget if there is no room by then, or ever."""

    async def close(self) -> None:
        """Unloads everything; waits for leases to be released first, but not for ever."""
