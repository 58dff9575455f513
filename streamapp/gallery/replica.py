"""A copy of what a gallery searches, in another process: made from a snapshot, kept true by what follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streamapp.findings import Embedding
from streamapp.gallery.changes import Snapshot, Updated
from streamapp.gallery.fusion import Fusion
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.people import Template
from streamapp.gallery.search import SearchResult

PIECE = 2000
"""People: with three models some 12 MB."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A part of a snapshot, told one after the other. fusion: how faces are compared there."""

    fusion: Fusion
    part: Snapshot
    is_first: bool
    is_last: bool

    @classmethod
    def pieces(cls, fusion: Fusion, snapshot: Snapshot) -> Iterator[Copied]:
        """All of it; at least one."""
        count = len(snapshot.templates)
        for start in range(0, max(count, 1), PIECE):
            part = Snapshot(snapshot.version, snapshot.templates[start : start + PIECE])
            yield cls(fusion, part, start == 0, start + PIECE >= count)


class GalleryReplica:
    """Used on the event loop's thread. What it hears is taken over in order, in the background."""

    def __init__(self) -> None:
        self._index: GalleryIndex | None = None
        self._coming: list[Template] = []
        self._heard: asyncio.Queue[Copied | Updated] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[GalleryReplica]:
        """Listens for the length of the block."""
        replica = cls()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(replica._listen(), name="gallery:replica")
            yield replica
            listening.cancel()

    @property
    def version(self) -> int | None:
        """Of what it searches; None: it has no copy, or not yet."""
        return None if self._index is None else self._index.version

    def hear(self, said: Copied | Updated) -> None:
        if isinstance(said, Copied):
            self._index = None  # what it was is not true any more
        self._heard.put_nowait(said)

    async def settled(self) -> None:
        """Returns once all it has heard until now is true of what it searches."""
        await self._heard.join()

    async def search(self, probe: Mapping[str, Embedding], count: int, now: float) -> SearchResult | None:
        """As `Gallery.search`; None if there is no copy."""
        index = self._index
        return None if index is None else await asyncio.to_thread(index.search, probe, count, now)

    async def _listen(self) -> None:
        while True:
            match await self._heard.get():
                case Copied(fusion, part, is_first, is_last):
                    self._coming = [*([] if is_first else self._coming), *part.templates]
                    if is_last:
                        everybody, self._coming = self._coming, []
                        self._index = await asyncio.to_thread(GalleryIndex, fusion, everybody, part.version)
                case Updated(version, person_id, template) if self._index is not None:
                    if template is None:
                        await asyncio.to_thread(self._index.remove, person_id, version)
                    else:
                        await asyncio.to_thread(self._index.put, template, version)
            self._heard.task_done()
