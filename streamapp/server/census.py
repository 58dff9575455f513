"""The streams at work and what became of them, told in numbers: of one process, or of several added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import psutil

from streamapp.hosting.machine import MachineFigures, MachineWatch, merged_machines
from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.results import DropReason
from streamapp.runtime import Runtime
from streamapp.server.schemas import StreamInfo


class PeerCounts(Protocol):
    """Which browsers are connected."""

    @property
    def publishers(self) -> int: ...

    @property
    def viewers(self) -> int: ...

    @property
    def sessions(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Census:
    """As of one moment; totals are since the start, streams that are gone included."""

    streams: tuple[StreamInfo, ...] = ()
    added: int = 0
    """Streams that somebody added, those being replaced included."""
    frames: int = 0
    dropped: Counter[DropReason] = field(default_factory=Counter)
    keyframes: Counter[str] = field(default_factory=Counter)
    publishers: int = 0
    viewers: int = 0
    sessions: frozenset[str] = frozenset()
    """Ids of WebRTC sessions."""
    recording: Mapping[str, RecordingEntry] = field(default_factory=dict)
    """What is being written, by id."""
    recordings_ended: Counter[RecordingState] = field(default_factory=Counter)
    machines: tuple[MachineFigures, ...] = ()
    memory_bytes: int = 0
    threads: int = 0
    open_files: int = 0

    @property
    def totals(self) -> Census:
        """What is left of it once its process is gone."""
        return Census(
            frames=self.frames,
            dropped=self.dropped,
            keyframes=self.keyframes,
            recordings_ended=self.recordings_ended,
        )


class CensusTaker(Protocol):
    async def census(self) -> Census: ...


class LocalCensus:
    """Of this process."""

    def __init__(self, runtime: Runtime, peers: PeerCounts) -> None:
        self._runtime = runtime
        self._peers = peers
        self._watch = MachineWatch()

    async def census(self) -> Census:
        runtime, process = self._runtime, psutil.Process()
        recordings = runtime.recordings
        return Census(
            streams=tuple(StreamInfo.of(session, recordings.of(session)) for session in runtime.streams.values()),
            added=runtime.added_total,
            frames=runtime.frames_total,
            dropped=runtime.dropped_total,
            keyframes=runtime.keyframes_total,
            publishers=self._peers.publishers,
            viewers=self._peers.viewers,
            sessions=self._peers.sessions,
            recording=recordings.active,
            recordings_ended=recordings.figures.ended,
            machines=merged_machines((self._machine(), *runtime.models.host.machines())),
            memory_bytes=process.memory_info().rss,
            threads=process.num_threads(),
            open_files=process.num_fds(),
        )

    def _machine(self) -> MachineFigures:
        """This one, with the streams of this process."""
        models = self._runtime.models
        figures = self._watch.look(models.host.machine)
        return replace(
            figures, streams=tuple(self._runtime.streams), gallery_version=models.identification.copy_version
        )


def merged(parts: Iterable[Census]) -> Census:
    """All of them as one."""
    total = Census()
    for part in parts:
        total = replace(
            total,
            streams=total.streams + part.streams,
            added=total.added + part.added,
            frames=total.frames + part.frames,
            dropped=total.dropped + part.dropped,
            keyframes=total.keyframes + part.keyframes,
            publishers=total.publishers + part.publishers,
            viewers=total.viewers + part.viewers,
            sessions=total.sessions | part.sessions,
            recording={**total.recording, **part.recording},
            recordings_ended=total.recordings_ended + part.recordings_ended,
            machines=merged_machines((*total.machines, *part.machines)),
            memory_bytes=total.memory_bytes + part.memory_bytes,
            threads=total.threads + part.threads,
            open_files=total.open_files + part.open_files,
        )
    return total
