"""Files that visitors handed in, and what was made of them: in a private folder, few, and not for long.

A file is known by a token that cannot be guessed. No path ever comes from a client or goes to one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamapp.errors import NotFound, Overloaded

MAX_FILES = 200
SWEEP_S = 15.0
TOKEN_BYTES = 24


class Kind(StrEnum):
    """What a file is. The first two are handed in and never given out."""

    PICTURE = "picture"
    CLIP = "clip"
    PAINTED_PICTURE = "painted_picture"
    PAINTED_CLIP = "painted_clip"
    RESULTS = "results"


SUFFIXES = {Kind.PAINTED_PICTURE: ".jpg", Kind.PAINTED_CLIP: ".mp4", Kind.RESULTS: ".jsonl"}


@dataclass(frozen=True, slots=True)
class Item:
    """A file on the shelf."""

    token: str
    kind: Kind
    path: Path
    size_bytes: int
    expires_s: float


class Shelf:
    """Used on the event loop's thread. `folder` is private to it. `max_bytes`: of all files together; the oldest make
    room. `kept_s`: how long a file is kept after it was put there."""

    def __init__(
        self, folder: Path, *, max_bytes: int, kept_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._kept_s = kept_s
        self._clock = clock
        self._items: dict[str, Item] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, *, max_bytes: int, kept_s: float) -> AsyncIterator[Shelf]:
        """A shelf in a new folder that only this user can look into (mode 0700), gone at the end of the block."""
        with tempfile.TemporaryDirectory(prefix="streamapp-demo-", ignore_cleanup_errors=True) as folder:
            shelf = cls(Path(folder), max_bytes=max_bytes, kept_s=kept_s)
            async with asyncio.TaskGroup() as group:
                sweeping = group.create_task(shelf._sweep(), name="demo:sweep")
                try:
                    yield shelf
                finally:
                    sweeping.cancel()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def place(self, kind: Kind) -> Path:
        """A path for a new file, which whoever asks writes and then puts on the shelf, or removes."""
        return self._folder / (secrets.token_hex(16) + SUFFIXES.get(kind, ""))

    def put(self, kind: Kind, path: Path) -> Item:
        """Takes a written file in. Raises Overloaded, and removes it, if it is larger than all the room there is."""
        size_bytes = path.stat().st_size
        if size_bytes > self._max_bytes:
            path.unlink()
            raise Overloaded("there is no room for this file", retry_after_s=round(self._kept_s))
        self.discard_expired()
        while self._items and (len(self._items) >= MAX_FILES or self._used_bytes + size_bytes > self._max_bytes):
            self._remove(next(iter(self._items)))
        item = Item(secrets.token_urlsafe(TOKEN_BYTES), kind, path, size_bytes, self._clock() + self._kept_s)
        self._items[item.token] = item
        return item

    def find(self, token: str, *kinds: Kind) -> Item:
        """The file of that token if it is of one of these kinds. Raises NotFound."""
        self.discard_expired()
        item = self._items.get(token)
        if item is None or item.kind not in kinds:
            raise NotFound("this file is not, or no longer, here: hand it in again")
        return item

    def discard_expired(self) -> None:
        """Removes what has been here for too long."""
        now_s = self._clock()
        for token in [item.token for item in self._items.values() if item.expires_s <= now_s]:
            self._remove(token)

    @property
    def _used_bytes(self) -> int:
        return sum(item.size_bytes for item in self._items.values())

    def _remove(self, token: str) -> None:
        with contextlib.suppress(OSError):
            self._items.pop(token).path.unlink()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.discard_expired()
