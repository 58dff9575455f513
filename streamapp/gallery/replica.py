"""A copy of what a gallery searches, in another process: made from a snapshot, kept true by what follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streamapp.findings import Embedding
from streamapp.gallery.changes import Snapshot, Updated
from streamapp.gallery.fusion import Fusion
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.search import SearchResult


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy begins anew. fusion: how faces are compared there."""

    fusion: Fusion
    snapshot: Snapshot


class GalleryReplica:
    """Used on the event loop's thread. What it hears is taken over in order, in the background."""

    def __init__(self) -> None:
        self._index: GalleryIndex | None = None
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
                case Copied(fusion, snapshot):
                    templates, version = snapshot.templates, snapshot.version
                    self._index = await asyncio.to_thread(GalleryIndex, fusion, templates, version)
                case Updated(version, person_id, template) if self._index is not None:
                    if template is None:
                        await asyncio.to_thread(self._index.remove, person_id, version)
                    else:
                        await asyncio.to_thread(self._index.put, template, version)
            self._heard.task_done()
