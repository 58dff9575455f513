"""The recordings on disk: listed, found, deleted, and put in order after a kill. Blocks; for worker threads.

A recording's name is a UUID made here; what a client says is only ever compared with it, and no link is followed.
"""

from __future__ import annotations

import logging
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from streamapp.errors import NotFound, StreamappError
from streamapp.recording.entry import ENTRY_FILE, RESULTS_FILE, RecordingEntry, RecordingState, VideoPart
from streamapp.recording.repair import mended
from streamapp.recording.sidecar import is_at_work

_log = logging.getLogger(__name__)

CUT_OFF = "the app ended before the recording did; it plays up to about a second before that"
_REMOVED = ".removed-"


class RecordingLibrary:
    def __init__(self, root: Path, *, min_free_bytes: int) -> None:
        self.root = root
        self._min_free_bytes = min_free_bytes

    def entries(self) -> list[RecordingEntry]:
        """Every recording, newest first."""
        found = [entry for folder in self._folders() if (entry := _loaded(folder)) is not None]
        return sorted(found, key=lambda entry: (entry.started_at, entry.id), reverse=True)

    def entry(self, recording: str) -> RecordingEntry:
        """Raises NotFound."""
        entry = _loaded(self._folder(recording))
        if entry is None:
            raise _not_found()
        return entry

    def video(self, recording: str, part: int) -> tuple[Path, VideoPart]:
        """A video file, parts counted from 1. Raises NotFound."""
        parts = self.entry(recording).parts
        if not 1 <= part <= len(parts):
            raise NotFound(f"the recording has {len(parts)} parts")
        return self._file(recording, parts[part - 1].file), parts[part - 1]

    def results(self, recording: str) -> Path:
        """The sidecar. Raises NotFound."""
        return self._file(recording, RESULTS_FILE)

    def is_at_work(self, recording: str) -> bool:
        """Whether somebody writes it now, in whichever process. Raises NotFound."""
        folder = self._folder(recording)
        try:
            return is_at_work(folder)
        except OSError as error:  # a link, or gone
            _log.debug("%s has no results: %s", folder, error)
            return False

    def delete(self, recording: str) -> None:
        """Removes all its files: in one step from the list, then from the disk. Raises NotFound."""
        folder = self._folder(recording)
        removed = folder.with_name(_REMOVED + folder.name)
        try:
            folder.rename(removed)
        except FileNotFoundError:
            raise _not_found() from None
        shutil.rmtree(removed)

    def adopt(self) -> int:
        """Completes what a killed process left behind; returns how many recordings that were. Leaves alone what another
        process is writing, and what is no recording."""
        adopted = 0
        for folder in (*self._folders(), *self.root.glob(f"{_REMOVED}*")):
            try:
                if folder.name.startswith(_REMOVED):
                    shutil.rmtree(folder)
                elif not is_at_work(folder):
                    adopted += self._adopt(folder)
            except (OSError, ValueError, StreamappError) as error:
                _log.warning("recording %s cannot be put in order: %s", folder, error)
        return adopted

    # -- inside --------------------------------------------------------------------------------------------------------

    def _folders(self) -> Iterator[Path]:
        try:
            found = list(self.root.iterdir())
        except FileNotFoundError:
            return
        for folder in found:
            if _is_id(folder.name) and stat.S_ISDIR(folder.lstat().st_mode):
                yield folder

    def _folder(self, recording: str) -> Path:
        folder = self.root / recording if _is_id(recording) else None
        try:
            if folder is not None and stat.S_ISDIR(folder.lstat().st_mode):
                return folder
        except OSError:
            pass
        raise _not_found()

    def _file(self, recording: str, name: str) -> Path:
        path = self._folder(recording) / name
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                return path
        except OSError:
            pass
        raise NotFound(f"the recording has no file {name} any more")

    def _adopt(self, folder: Path) -> bool:
        if not (folder / ENTRY_FILE).exists():
            if not any(folder.glob("video-*")):  # killed before anything was written
                shutil.rmtree(folder)
            return False
        entry = RecordingEntry.load(folder)
        if entry.state is not RecordingState.RECORDING:
            return False
        mended(folder, entry, RecordingState.COMPLETE, CUT_OFF, min_free_bytes=self._min_free_bytes).save(folder)
        return True


def _loaded(folder: Path) -> RecordingEntry | None:
    try:
        entry = RecordingEntry.load(folder)
    except (OSError, ValueError) as error:
        _log.debug("%s is no recording: %s", folder, error)
        return None
    return entry if str(entry.id) == folder.name else None


def _is_id(name: str) -> bool:
    """Whether this is a UUID in its one usual spelling."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _not_found() -> NotFound:
    return NotFound("there is no such recording; it may have been deleted")
