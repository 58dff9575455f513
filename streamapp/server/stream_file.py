"""The streams that clients added, kept over restarts: JSON with their addresses, passwords included, readable by its
owner only, replaced as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from streamapp.access.token_file import write_private
from streamapp.errors import SettingsError
from streamapp.server.schemas import StreamRequest

_log = logging.getLogger(__name__)


class _Contents(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    streams: list[StreamRequest]


class StreamKeeper(Protocol):
    """Where streams are kept. Both methods block."""

    def read(self) -> list[StreamRequest]: ...

    def write(self, streams: Sequence[StreamRequest]) -> None: ...


class StreamFile:
    """Used by one server. Both methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[StreamRequest]:
        """What was written last; nothing if there is no file. Raises SettingsError for a file that others can read or
        that is not one of this version: it is never overwritten."""
        try:
            with self._path.open("rb") as file:
                mode, content = os.fstat(file.fileno()).st_mode, file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SettingsError(f"the streams in {self._path} cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise SettingsError(f"the passwords in {self._path} can be read by others; run `chmod 600 {self._path}`")
        try:
            return _Contents.model_validate_json(content).streams
        except ValidationError:
            raise SettingsError(
                f"{self._path} is not a file of streams of this version; move it away and add the streams anew"
            ) from None

    def write(self, streams: Sequence[StreamRequest]) -> None:
        """Where it cannot be written the log says so: the streams run all the same."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            contents = _Contents(version=1, streams=list(streams))
            write_private(self._path, contents.model_dump_json(indent=1).encode() + b"\n")
        except OSError as error:
            _log.error("the streams are not kept: %s cannot be written: %s", self._path, error.strerror)
