"""One batch on one lane, with its models loaded."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from streamapp.errors import ModelError, ModelHung
from streamapp.scheduler.api import Done, Lease, ModelRun
from streamapp.scheduler.breaker import Circuit
from streamapp.scheduler.lane import Lane
from streamapp.scheduler.record import Record
from streamapp.scheduler.settlement import Batch, Settlement, settle

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class BatchRun:
    """Gives the lease back at its end; if a call never returns, never."""

    lane: Lane
    lease: Lease
    record: Record
    settlement: Settlement
    timeout_s: float
    """Of each call of the operation."""
    clock: Callable[[], float]

    async def run(self, batch: Batch) -> None:
        """Tells every job its outcome, unless it is cancelled. If a batch of several jobs fails, each is run alone: one
        must not spoil the others."""
        replaced = self.lane.replaced
        parts: list[Batch] = [batch]
        try:
            while parts:
                now_s = self.clock()
                part = self.settlement.drop_late(parts.pop(0), now_s)
                if self.record.breaker.state(now_s) is Circuit.OPEN:
                    self.settlement.suspend(part, self.record, now_s)
                elif part and not await self._succeeds(part):
                    parts = [[waiting] for waiting in part] + parts
        except ModelHung as error:
            self.settlement.fail(batch, self.record, error, self.clock())
        finally:
            if self.lane.replaced == replaced:  # otherwise a call is still out, and gives it back when it returns
                self.lease.release()

    async def _succeeds(self, batch: Batch) -> bool:
        """False: its jobs are to be tried one by one. Raises ModelHung."""
        operation = batch[0].job.job.operation
        items = [item for waiting in batch for item in waiting.job.job.items]
        work = partial(operation.run, self.lease.sessions, items)
        start_s = self.clock()
        try:
            with model_errors(operation.name):
                values = await self.lane.run(work, timeout_s=self.timeout_s, on_late_return=self.lease.release)
                if len(values) != len(items):
                    raise ModelError(f"{operation.name} gave {len(values)} answers for {len(items)} items")
                sessions = [(name, self.lease.sessions[name]) for name in operation.variants]
                models = tuple(ModelRun(name, session.providers[0]) for name, session in sessions)
        except ModelHung:
            raise
        except ModelError as error:
            if len(batch) > 1:
                return False
            self.settlement.fail(batch, self.record, error, self.clock())
            return True
        run_s = self.clock() - start_s
        self.record.succeeded(len(batch), len(items), run_s)
        at = 0
        for waiting in batch:
            part = values[at : at + waiting.weight]
            at += waiting.weight
            settle([waiting], Done(part, models, start_s - waiting.queued_s, run_s))
        return True


@contextlib.contextmanager
def model_errors(operation: str) -> Iterator[None]:
    """Maps what nobody expected to a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        _log.exception("%s failed unexpectedly", operation)
        raise ModelError(f"{operation} failed unexpectedly: {error}") from error
