"""Writes one FrameResult per line, as JSON Lines (jsonlines.org)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

from streamapp.sinks.base import Inbox


class JsonLines:
    """Writes to an open text file or pipe, on a thread of its own: a slow reader blocks no loop. Loses no result:
    the pump waits for it, so that frames are dropped, and counted, before they are analysed. Ends quietly when the
    reader goes away. The file stays open."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @property
    def lossless(self) -> bool:
        return True

    async def run(self, inbox: Inbox) -> None:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="json")
        try:
            while (output := await inbox.get()) is not None:
                await loop.run_in_executor(thread, self._write, output.result.to_json())
        except BrokenPipeError:
            return
        finally:
            thread.shutdown(wait=False)

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()
