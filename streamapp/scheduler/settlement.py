"""How jobs are told what became of them: each once, and what is told is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamapp.errors import ModelError, ModelInputInvalid, ModelSuspended
from streamapp.results import DropReason
from streamapp.scheduler.api import Dropped, Failed, Job, Outcome
from streamapp.scheduler.job_queue import Waiting
from streamapp.scheduler.record import Record

# The queue holds jobs of every kind of item and value; a batch is of one operation, so they fit each other again.
AnyJob = Job[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A job and who waits for it: a cancelled future means that nobody does."""

    job: AnyJob
    outcome: asyncio.Future[Outcome[Any]]


Batch = Sequence[Waiting[Entry]]
"""Jobs of one operation."""

LATE = Dropped(DropReason.STALE, "its deadline passed before its turn")
CROWDED_OUT = Dropped(DropReason.QUEUE_FULL, "the queue is full")
ENDING = Dropped(DropReason.CLOSED, "the app is ending")


class Settlement:
    """All of these pass over jobs that were told something before."""

    def __init__(self) -> None:
        self.dropped: Counter[DropReason] = Counter()

    def drop(self, batch: Batch, outcome: Dropped) -> None:
        count = settle(batch, outcome)
        if count:
            self.dropped[outcome.reason] += count

    def drop_late(self, batch: Batch, now_s: float) -> Batch:
        """Gives those who still wait."""
        self.drop([waiting for waiting in batch if waiting.deadline_s <= now_s], LATE)
        return [waiting for waiting in batch if not waiting.job.outcome.done()]

    def fail(self, batch: Batch, record: Record, error: ModelError, now_s: float) -> None:
        if not isinstance(error, ModelInputInvalid):  # that is the asker's fault
            record.breaker.failed(now_s, str(error))
        record.failed += settle(batch, Failed(error))

    def suspend(self, batch: Batch, record: Record, now_s: float) -> None:
        """The model's circuit is open."""
        retry_s, reason = record.breaker.retry_in_s(now_s), record.breaker.reason
        for waiting in batch:  # to each its own error: a traceback grows wherever it is raised
            message = f"{waiting.kind} failed too often and is tried again in {retry_s:.0f} s: {reason}"
            record.failed += settle([waiting], Failed(ModelSuspended(message)))


def settle(batch: Batch, outcome: Outcome[Any]) -> int:
    """Says how many were told."""
    untold = [waiting.job.outcome for waiting in batch if not waiting.job.outcome.done()]
    for future in untold:
        future.set_result(outcome)
    return len(untold)
