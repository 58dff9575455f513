"""What is watched while benchmarks/budget_run.py runs: jobs and how they end, memory, and clients with pictures."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from unittest.mock import patch

import psutil

from streamapp.errors import StreamappError
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.results import ImageResult
from streamapp.runtime import Runtime
from streamapp.scheduler.api import Done, Dropped, Failed, Job, Outcome
from streamapp.scheduler.local import LocalScheduler
from streamapp.zoo.session import return_freed_memory

CLIENTS = 2
SAMPLE_S = 0.01


class Jobs:
    """Counts every job given to the scheduler, and how it ended."""

    def __init__(self) -> None:
        self.submitted = 0
        self.outcomes: Counter[str] = Counter()

    @contextmanager
    def counted(self) -> Iterator[None]:
        submit = LocalScheduler.submit

        async def counted(scheduler: LocalScheduler, job: Job[object, object]) -> Outcome[object]:
            self.submitted += 1
            try:
                outcome = await submit(scheduler, job)
            except asyncio.CancelledError:
                self.outcomes["cancelled by its asker"] += 1
                raise
            match outcome:
                case Done():
                    self.outcomes["done"] += 1
                case Dropped(reason):
                    self.outcomes[f"dropped: {reason}"] += 1
                case Failed(error):
                    self.outcomes[f"failed: {error.code}"] += 1
            return outcome

        with patch.object(LocalScheduler, "submit", counted):
            yield


class Resident:
    """Highest resident size of this process, looked at all the time."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._stop = threading.Event()
        return_freed_memory()
        self.baseline_bytes = self.highest_bytes = int(self._process.memory_info().rss)

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.highest_bytes = max(self.highest_bytes, int(self._process.memory_info().rss))


class Books:
    """By how much the scheduler's own books are over the budget at worst."""

    def __init__(self) -> None:
        self.worst_bytes = 0

    @asynccontextmanager
    async def watched(self, runtime: Runtime) -> AsyncIterator[None]:
        watching = asyncio.ensure_future(self._watch(runtime))
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self, runtime: Runtime) -> None:
        while True:
            found = runtime.models.residency.snapshot()
            self.worst_bytes = max(self.worst_bytes, found.committed_bytes - found.budget_bytes)
            await asyncio.sleep(SAMPLE_S)


class Clients:
    """People who send pictures, each the next one when the last is answered."""

    def __init__(self, shown: Sequence[Image]) -> None:
        self._shown = shown
        self._over = False
        self.requests = 0
        self.answers: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def finish(self) -> None:
        """No more requests; those under way go on."""
        self._over = True

    async def run(self, runtime: Runtime, number: int) -> None:
        at = number
        while not self._over:
            self.requests += 1
            try:
                result = await runtime.models.examine(
                    self._shown[at % len(self._shown)], Mode.FULL, client=f"client-{number}"
                )
            except StreamappError as error:
                self.answers[error.code] += 1
                await asyncio.sleep(0.1)
            else:
                self._note(result)
            at += CLIENTS

    def _note(self, result: ImageResult) -> None:
        self.answers["partial" if result.skipped else "complete"] += 1
        self.skipped.update(skipped.code for skipped in result.skipped)
