"""The streams that clients added: where each comes from, secrets included, how they are changed, and what of them is
kept over restarts. Secrets are never given out; see `sources.changed` for what a client may do with an address that it
does not know in full."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from streamapp.errors import Conflict, Overloaded, SourceError, StreamappError
from streamapp.pipeline.session import StreamSession
from streamapp.recording.description import header_of
from streamapp.recording.entry import RecordingEntry
from streamapp.runtime import Runtime
from streamapp.server.schemas import StreamRequest
from streamapp.server.stream_file import StreamKeeper
from streamapp.server.stream_schemas import StreamChange, TrialRequest
from streamapp.sources.changed import parse_changed
from streamapp.sources.networks import check_literal
from streamapp.sources.open import source_at
from streamapp.sources.trial import Trial, try_source
from streamapp.sources.url import SourceAddress, parse_untrusted

_log = logging.getLogger(__name__)

MAX_TRIALS = 2
"""At once."""


@dataclass(frozen=True, slots=True)
class _Added:
    """What was asked for, all of it written out, and the address in it."""

    wanted: StreamRequest
    address: SourceAddress


class AddedStreams:
    """Used on the event loop's thread. file: where they are kept; without one they end with the process."""

    def __init__(self, runtime: Runtime, file: StreamKeeper | None = None) -> None:
        self._runtime = runtime
        self._file = file
        self._added: dict[str, _Added] = {}
        self._left_out: list[StreamRequest] = []
        """In the file, but refused at the start; they stay there until a stream of their name is added."""
        self._writing = asyncio.Lock()
        self._trials = 0

    async def restore(self) -> None:
        """Starts what the file has. What is refused, as its folder is gone or its network not allowed any more, is
        logged and left alone. A recording does not begin by itself. Raises SettingsError for a bad file."""
        if self._file is None:
            return
        for wanted in await asyncio.to_thread(self._file.read):
            try:
                self._start(_Added(wanted, await self._address(wanted.source, None)))
            except StreamappError as error:
                _log.warning("stream %s is not started again: %s", wanted.name, error)
                self._left_out.append(wanted)

    async def add(self, wanted: StreamRequest) -> StreamSession:
        """Starts a stream. Raises SourceUrlInvalid, SourceForbidden, Conflict, Overloaded, and RecordingFailed if it is
        to be recorded and cannot be; the stream is there then all the same."""
        limit = self._runtime.settings.server.max_streams
        if self._runtime.added_total >= limit:
            raise Overloaded(f"{limit} streams are the limit (server.max_streams); delete one first", retry_after_s=10)
        session = self._start(_Added(wanted, await self._address(wanted.source, None)))
        try:
            if wanted.record:  # before anything else is waited for: from the first picture on
                await self.record(session)
        finally:
            await self._keep()
        return session

    async def change(self, name: str, wanted: StreamChange) -> StreamSession:
        """Changes what is given and leaves the rest. Anything but `record` is a new start of the stream; its recording
        ends, and a new one begins unless that is not wanted. Raises NotFound, and otherwise as `add`."""
        session, known = self._runtime.stream(name), self._known(name)
        address = known.address if wanted.source is None else await self._address(wanted.source, known.address)
        given = wanted.model_dump(exclude_none=True, exclude={"record"})
        asked = _Added(known.wanted.model_copy(update=given | {"source": _written(address)}), address)
        recordings = self._runtime.recordings
        is_recorded = recordings.is_on(session)
        if asked != known:
            session = await self._runtime.replace_stream(name, asked.wanted.name, partial(self._start, asked))
            if asked.wanted.name != name:
                del self._added[name]
            await self._keep()
        wants_recording = is_recorded if wanted.record is None else wanted.record
        if wants_recording and not recordings.is_on(session):
            await self.record(session)
        elif not wants_recording and recordings.is_on(session):
            await recordings.stop(session)
        return session

    async def remove(self, name: str) -> None:
        """Ends and forgets a stream, added or published. Raises NotFound."""
        await self._runtime.close_stream(name)
        if self._added.pop(name, None) is not None:
            await self._keep()

    async def record(self, session: StreamSession) -> RecordingEntry:
        """Begins to record a stream. Raises Conflict, RecordingFailed."""
        models = self._runtime.models
        header = header_of(
            session,
            self._runtime.settings,
            models.lineup,
            models.registry,
            gallery_version=models.identification.version,
        )
        return await self._runtime.recordings.start(session, header)

    async def try_out(self, wanted: TrialRequest) -> Trial:
        """Tries a source. Raises NotFound, Conflict, and Overloaded if too many are being tried."""
        known = None if wanted.stream is None else self._known(wanted.stream).address
        if self._trials >= MAX_TRIALS:
            raise Overloaded(f"{MAX_TRIALS} connection tests are running already; wait for one", retry_after_s=5)
        self._trials += 1
        try:
            address = known if known and wanted.source is None else await self._parsed(wanted.source or "", known)
            return await try_source(address, self._runtime.settings.sources)
        except SourceError as error:
            return Trial.refused(error)
        finally:
            self._trials -= 1

    def _start(self, added: _Added) -> StreamSession:
        """The one place where streams that were added begin. Raises Conflict, Overloaded."""
        wanted, address = added.wanted, added.address
        session = self._runtime.open_stream(
            wanted.name,
            partial(source_at, address, settings=self._runtime.settings.sources, loop=True),
            mode=wanted.mode,
            description=address.redacted,
            added=True,
            private=wanted.privacy,
        )
        kept = {"source": _written(address), "mode": session.mode, "record": False}
        self._added[wanted.name] = _Added(wanted.model_copy(update=kept), address)
        self._left_out = [left for left in self._left_out if left.name != wanted.name]
        return session

    async def _keep(self) -> None:
        if self._file is None:
            return
        async with self._writing:
            kept = [added.wanted for added in self._added.values()] + self._left_out
            await asyncio.to_thread(self._file.write, kept)

    def _known(self, name: str) -> _Added:
        """Raises NotFound, and Conflict for a stream that is not a client's to change."""
        if not self._runtime.stream(name).added:
            raise Conflict(f"stream {name} is a browser's camera; only streams that were added can be changed")
        return self._added[name]

    async def _address(self, source: str, known: SourceAddress | None) -> SourceAddress:
        address = await self._parsed(source, known)
        if address.rtsp is not None:
            check_literal(address.rtsp, self._runtime.settings.sources.allowed_networks)
        return address

    async def _parsed(self, source: str, known: SourceAddress | None) -> SourceAddress:
        folders = self._runtime.settings.server.media_dirs
        if known is None:
            return await asyncio.to_thread(parse_untrusted, source, folders)
        return await asyncio.to_thread(parse_changed, source, known, folders)


def _written(address: SourceAddress) -> str:
    """The whole address as a client would give it, secrets included."""
    return address.redacted if address.rtsp is None else address.rtsp.with_credentials
