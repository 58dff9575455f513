"""What things cost, as a file says it: each figure with where it comes from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from streamapp.errors import UsageError

OWN_FILE = Path(__file__).with_name("costs.toml")

Named = TypeVar("Named", "OperationCost", "Lineup", "DeviceKind", "Machine")


class Origin(StrEnum):
    MEASURED = "measured"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class OperationCost:
    """`item_ms`: processor time of one item on one core. `load_s`: until it can be run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    item_ms: float
    resident_mb: float
    load_s: float
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True)
class Lineup:
    """The operations that serve mode full, by name."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    detector: str
    refinement: str
    analysers: tuple[str, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        return (self.detector, self.refinement, *self.analysers)


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """What runs models: `speed` times as fast as one core, after `launch_ms` for each batch."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    speed: float
    launch_ms: float
    memory_mb: float
    """What models may take of its memory."""
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Without GPUs its cores run the models, beside the streams."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    cores: int
    gpus: int
    device: str
    price_an_hour: float
    """An assumption."""
    network_mbit_s: float


@dataclass(frozen=True, slots=True)
class StreamCost:
    """What a stream takes of a machine whatever is seen on it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    core_share: float
    network_mbit_s: float
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True)
class Costs:
    """All of a file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    operation: tuple[OperationCost, ...]
    lineup: tuple[Lineup, ...]
    device: tuple[DeviceKind, ...]
    machine: tuple[Machine, ...]
    stream: StreamCost

    def lineup_named(self, name: str) -> Lineup:
        """Raises UsageError, as the next ones do."""
        return _named(self.lineup, name, "line-up")

    def machine_named(self, name: str) -> Machine:
        return _named(self.machine, name, "machine")

    def device_of(self, machine: Machine) -> DeviceKind:
        return _named(self.device, machine.device, "device")

    def operations_of(self, lineup: Lineup) -> dict[str, OperationCost]:
        return {name: _named(self.operation, name, "operation") for name in lineup.operations}

    def notes(self, lineup: Lineup, machine: Machine) -> tuple[str, ...]:
        """What the figures of a line-up on a machine rest on, a line each."""
        device, models = self.device_of(machine), self.operations_of(lineup).values()
        return (
            f"stream ({self.stream.origin}): {self.stream.source}",
            f"device {device.name} ({device.origin}): {device.source}",
            *(f"{model.name} ({model.origin}): {model.item_ms:g} ms; {model.source}" for model in models),
            f"price ({Origin.ASSUMED}): {machine.price_an_hour:g} an hour for a machine {machine.name}",
        )


_ADAPTER: TypeAdapter[Costs] = TypeAdapter(Costs)


def read_costs(path: Path = OWN_FILE) -> Costs:
    """Raises UsageError for a file that cannot be used."""
    try:
        return _ADAPTER.validate_python(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{path} is no file of costs: {error}") from error


def _named(choices: tuple[Named, ...], name: str, what: str) -> Named:
    found = next((choice for choice in choices if choice.name == name), None)
    if found is None:
        raise UsageError(f"there is no {what} {name} in the costs; there are {', '.join(c.name for c in choices)}")
    return found
