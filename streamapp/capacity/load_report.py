"""What came of a load: figures, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from pydantic import TypeAdapter
from rich.table import Table

from streamapp.capacity.processes import family_of
from streamapp.faces import Mode
from streamapp.results import DropReason


class StreamKind(StrEnum):
    """Whence a stream's pictures come."""

    WEBRTC = "webrtc"
    """From a publisher of ours."""
    RTSP = "rtsp"
    CLIP = "clip"
    """The server's own demo clip."""


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """One stream. Ages: of WebRTC from the camera's capture time to the arrival of the result at the client; of others
    within the server, from the arrival of the picture, of the newest result once a second."""

    name: str
    kind: StreamKind
    lost: bool
    """It was no longer there at the end."""
    results_per_s: float
    age_p50_ms: float | None
    age_p95_ms: float | None
    dropped: Mapping[DropReason, int]
    """Frames, by reason."""
    jobs_dropped: Mapping[DropReason, int]


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What the server took; None where it is on another machine or another user's."""

    processes: int | None
    cores: float | None
    """Processor time over time."""
    memory_begin_mb: float | None
    memory_peak_mb: float | None

    @classmethod
    def of(cls, pid: int | None, cores: float | None, memory_bytes: Sequence[int]) -> ServerUse:
        mb = [size / 1e6 for size in memory_bytes]
        processes = None if pid is None else len(family_of(pid))
        return cls(processes, cores, mb[0] if mb else None, max(mb, default=None))


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """One of the server's machines. sent: to others of them."""

    name: str
    streams: int
    busy_cores: float
    analyses_per_s: float
    sent_kb_per_s: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """All of it. `age_p95_ms`: over all streams of a kind."""

    address: str
    mode: Mode
    seconds: float
    streams: tuple[StreamLoad, ...]
    age_p95_ms: Mapping[StreamKind, float]
    analyses_per_s: float
    """Pictures and crops that models were shown, beyond the screening of every frame."""
    machines: tuple[MachineLoad, ...]
    use: ServerUse
    clients_cores: float
    """What these clients took: near 1 they are what is slow."""

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self, indent=2).decode()

    @property
    def dropped(self) -> dict[DropReason, int]:
        return _added([stream.dropped for stream in self.streams])

    @property
    def jobs_dropped(self) -> dict[DropReason, int]:
        return _added([stream.jobs_dropped for stream in self.streams])

    @property
    def crossing_kb_per_s(self) -> float | None:
        """Between machines, for each stream; None where there is one machine."""
        if len(self.machines) < 2:
            return None
        return sum(machine.sent_kb_per_s for machine in self.machines) / len(self.streams)

    def tables(self) -> tuple[Table, ...]:
        """The streams, the figures over all of them, and the machines if there are several."""
        each = Table("stream", "results a second", "age p50 ms", "p95", "frames dropped", "jobs dropped")
        for stream in self.streams:
            each.add_row(
                f"{stream.kind} {stream.name}" + (" (lost)" if stream.lost else ""),
                f"{stream.results_per_s:.1f}",
                _shown(stream.age_p50_ms),
                _shown(stream.age_p95_ms),
                _counts(stream.dropped),
                _counts(stream.jobs_dropped),
            )
        rates, count = [stream.results_per_s for stream in self.streams], len(self.streams)
        use, figures = self.use, Table("what", "value")
        for name, value in (
            ("streams", str(count)),
            ("results a second, slowest and median stream", f"{min(rates):.1f}, {median(rates):.1f}"),
            *((f"result age p95, {kind}", f"{age:.1f} ms") for kind, age in self.age_p95_ms.items()),
            ("analyses a second", f"{self.analyses_per_s:.1f}"),
            ("kB a second between machines, each stream", _shown(self.crossing_kb_per_s)),
            ("frames dropped", _counts(self.dropped)),
            ("jobs dropped", _counts(self.jobs_dropped)),
            ("server: cores in use", _shown(use.cores, 2)),
            ("server: streams a core", _shown(count / use.cores if use.cores else None)),
            ("server: processes", "-" if use.processes is None else str(use.processes)),
            ("server: streams a process", _shown(count / use.processes if use.processes else None, 2)),
            ("server: MB at first, at most", f"{_shown(use.memory_begin_mb, 0)}, {_shown(use.memory_peak_mb, 0)}"),
            ("these clients: cores in use", f"{self.clients_cores:.2f}"),
        ):
            figures.add_row(name, value)
        return (each, figures, self._by_machine()) if len(self.machines) > 1 else (each, figures)

    def _by_machine(self) -> Table:
        table = Table("machine", "streams", "cores in use", "analyses a second", "kB a second to others")
        for machine in self.machines:
            table.add_row(
                machine.name,
                str(machine.streams),
                f"{machine.busy_cores:.2f}",
                f"{machine.analyses_per_s:.1f}",
                f"{machine.sent_kb_per_s:.1f}",
            )
        return table


_ADAPTER: TypeAdapter[LoadReport] = TypeAdapter(LoadReport)


def _added(counts: Sequence[Mapping[DropReason, int]]) -> dict[DropReason, int]:
    reasons = sorted({reason for each in counts for reason in each})
    return {reason: sum(each.get(reason, 0) for each in counts) for reason in reasons}


def _counts(counts: Mapping[DropReason, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items() if count) or "0"


def _shown(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
