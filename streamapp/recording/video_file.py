"""The file a video is written to. FFmpeg writes through it, so that a full disk leaves no half fragment behind."""

from __future__ import annotations

import os
from pathlib import Path


class VideoFile:
    """A new file, written by one thread. After `give_up` nothing is written any more, whatever FFmpeg still tries."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, also if the file exists."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._position = 0
        self._end = 0
        self._whole_end = 0
        self._given_up = False
        self._closed = False

    @property
    def size(self) -> int:
        return self._end

    def keep(self, *, sync: bool) -> None:
        """What is written so far is whole. `sync`: has the disk take it."""
        self._whole_end = self._end
        if sync:
            os.fdatasync(self._descriptor)

    def give_up(self) -> None:
        """Ends writing with what was last `keep`t. Never raises: the disk may be gone."""
        self._given_up = True
        try:
            os.ftruncate(self._descriptor, self._whole_end)
            self._end = self._whole_end
        except OSError:
            pass

    def done(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    # -- what FFmpeg calls ---------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> int:
        if not self._given_up:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(self._descriptor, rest, self._position)
                self._position += written
                rest = rest[written:]
            self._end = max(self._end, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position
