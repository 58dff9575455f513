"""What the header of a recording says of the stream, the models and the settings in use."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Protocol
from uuid import uuid4

from streamapp import __version__
from streamapp.choices import Backend
from streamapp.faces import Mode
from streamapp.recording.entry import ModelInUse, RecordingHeader
from streamapp.scheduler.device_memory import runtime_version
from streamapp.settings import Settings
from streamapp.zoo.lineup import Lineup, systems_of
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task

_IN_FORCE = {
    "pipeline": {"min_score", "max_coast_s", "confirm_hits"},
    "models": {"runtime", "profile", "backend", "precision"},
    "scheduler": {"device"},
    "gallery": {"false_match_rate", "min_margin", "max_attempts", "identify_spoofs"},
    "sources": {"max_pixels"},
}


class DescribedStream(Protocol):
    name: str
    mode: Mode
    private: bool
    description: str


def header_of(
    stream: DescribedStream, settings: Settings, lineup: Lineup, registry: Registry, *, gallery_version: int | None
) -> RecordingHeader:
    """The header of a new recording, all but what its first picture says. Reads checksums, no weights."""
    return RecordingHeader(
        id=uuid4(),
        app_version=__version__,
        stream=stream.name,
        source=stream.description,
        mode=stream.mode,
        privacy=stream.private,
        started_at=time.time(),
        models=models_in_use(stream.mode, settings, lineup, registry),
        gallery_version=gallery_version if stream.mode is Mode.FULL else None,
        settings=settings_in_force(settings),
    )


def settings_in_force(settings: Settings) -> dict[str, dict[str, str | int | float | bool | None]]:
    """Those that change results, by section."""
    found = settings.model_dump(mode="json")
    return {section: {name: found[section][name] for name in sorted(names)} for section, names in _IN_FORCE.items()}


def models_in_use(mode: Mode, settings: Settings, lineup: Lineup, registry: Registry) -> tuple[ModelInUse, ...]:
    """The models that results of a mode may come from. Reads checksums, no weights."""
    analysis = (
        runtime_version() if settings.models.backend is Backend.ONNXRUNTIME else f"openvino {version('openvino')}"
    )
    return tuple(
        ModelInUse(
            task=variant.task,
            variant=variant.name,
            sha256=registry.pinned(variant).sha256,
            runtime=settings.models.runtime if variant.task is Task.SCREEN else analysis,
        )
        for system in systems_of(mode)
        for variant in lineup.of_system(system)
    )
