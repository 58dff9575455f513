"""The streams that clients added: where each comes from, secrets included, and how they are changed. Secrets are never
given out; see `sources.changed` for what a client may do with an address it does not know in full."""

from __future__ import annotations

import asyncio
from functools import partial

from streamapp.errors import Conflict, Overloaded, SourceError
from streamapp.pipeline.session import StreamSession
from streamapp.recording.description import header_of
from streamapp.recording.entry import RecordingEntry
from streamapp.runtime import Runtime
from streamapp.server.schemas import StreamRequest
from streamapp.server.stream_schemas import StreamChange, TrialRequest
from streamapp.sources.changed import parse_changed
from streamapp.sources.networks import check_literal
from streamapp.sources.open import source_at
from streamapp.sources.trial import Trial, try_source
from streamapp.sources.url import SourceAddress, parse_untrusted

MAX_TRIALS = 2
"""At once."""


class AddedStreams:
    """Used on the event loop's thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._addresses: dict[str, SourceAddress] = {}
        self._trials = 0

    async def add(self, wanted: StreamRequest) -> StreamSession:
        """Starts a stream. Raises SourceUrlInvalid, SourceForbidden, Conflict, Overloaded, and RecordingFailed if it is
        to be recorded and cannot be; the stream is there then all the same."""
        limit = self._runtime.settings.server.max_streams
        if self._runtime.added_total >= limit:
            raise Overloaded(f"{limit} streams are the limit (server.max_streams); delete one first", retry_after_s=10)
        address = await self._address(wanted.source, None)
        session = self._runtime.open_stream(
            wanted.name,
            partial(source_at, address, settings=self._runtime.settings.sources, loop=True),
            mode=wanted.mode,
            description=address.redacted,
            added=True,
        )
        self._addresses[wanted.name] = address
        if wanted.record:
            await self.record(session)
        return session

    async def change(self, name: str, wanted: StreamChange) -> StreamSession:
        """Changes what is given and leaves the rest. Another name, source or mode is a new start of the stream; its
        recording ends, and a new one begins unless that is not wanted. Raises NotFound, and otherwise as `add`."""
        session, known = self._runtime.stream(name), self._known(name)
        address = known if wanted.source is None else await self._address(wanted.source, known)
        new_name, mode = wanted.name or name, wanted.mode or session.mode
        recordings = self._runtime.recordings
        is_recorded = recordings.is_on(session)
        if (new_name, address, mode) != (name, known, session.mode):
            session = await self._runtime.replace_stream(
                name,
                new_name,
                partial(source_at, address, settings=self._runtime.settings.sources, loop=True),
                mode=mode,
                description=address.redacted,
            )
            del self._addresses[name]
            self._addresses[new_name] = address
        wants_recording = is_recorded if wanted.record is None else wanted.record
        if wants_recording and not recordings.is_on(session):
            await self.record(session)
        elif not wants_recording and recordings.is_on(session):
            await recordings.stop(session)
        return session

    async def remove(self, name: str) -> None:
        """Ends and forgets a stream, added or published. Raises NotFound."""
        await self._runtime.close_stream(name)
        self._addresses.pop(name, None)

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
        known = None if wanted.stream is None else self._known(wanted.stream)
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

    def _known(self, name: str) -> SourceAddress:
        """Raises NotFound, and Conflict for a stream that is not a client's to change."""
        if not self._runtime.stream(name).added:
            raise Conflict(f"stream {name} is a browser's camera; only streams that were added can be changed")
        return self._addresses[name]

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
