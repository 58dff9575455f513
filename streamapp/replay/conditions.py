"""Under what a session was decided: models, settings, gallery, processor. Where they differ, so may the decisions."""

from __future__ import annotations

import hashlib
import platform

from pydantic import BaseModel, ConfigDict, Field

from streamapp import __version__
from streamapp.faces import Mode
from streamapp.models import Models
from streamapp.scheduler.device_memory import runtime_version
from streamapp.settings import Settings
from streamapp.zoo.graph_cache import processor
from streamapp.zoo.lineup import systems_of
from streamapp.zoo.spec import Task

_IN_FORCE = {
    "pipeline": ("confirm_hits", "max_coast_s", "min_score"),
    "models": ("backend", "precision", "profile", "runtime"),
    "gallery": ("false_match_rate", "identify_spoofs", "max_attempts", "min_margin"),
    "scheduler": ("device",),
    "sources": ("max_pixels",),
}
"""Settings that change results."""


class UsedModel(BaseModel):
    """A model that the results may come from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str
    variant: str
    sha256: str | None
    runtime: str


class Conditions(BaseModel):
    """What is not known, as headers of recordings do not say it, is empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    app_version: str
    mode: Mode
    models: tuple[UsedModel, ...] = ()
    settings: dict[str, dict[str, str | int | float | bool | None]] = Field(default_factory=dict)
    gallery: str = ""
    processor: str = ""
    """Its architecture, and a checksum of all it can do: runtimes choose their code by that."""

    def changes(self, now: Conditions) -> list[str]:
        """What is not as it was, in words, but the mode."""
        found = []
        if self.app_version != now.app_version:
            found.append(f"app version {self.app_version}, now {now.app_version}")
        if self.models:
            found += _model_changes(self.models, now.models)
        for section, values in self.settings.items():
            for name, value in values.items():
                other = now.settings.get(section, {}).get(name, value)
                if other != value:
                    found.append(f"setting {section}.{name} {value}, now {other}")
        if self.gallery and self.gallery != now.gallery:
            found.append(f"gallery: {self.gallery}; now: {now.gallery}")
        if self.processor and self.processor != now.processor:
            found.append(f"processor {self.processor}, now {now.processor}: scores may differ in the last digits")
        return found


async def conditions_of(mode: Mode, models: Models, settings: Settings) -> Conditions:
    """Those of this process. Reads checksums, no weights."""
    found = settings.model_dump(mode="json")
    return Conditions(
        app_version=__version__,
        mode=mode,
        models=_used(mode, models, settings),
        settings={section: {name: found[section][name] for name in names} for section, names in _IN_FORCE.items()},
        gallery=await _gallery(models) if mode is Mode.FULL else "",
        processor=f"{platform.machine()} {_checksum(processor())}",
    )


def _used(mode: Mode, models: Models, settings: Settings) -> tuple[UsedModel, ...]:
    analysis = f"{settings.models.backend} {runtime_version()}"
    return tuple(
        UsedModel(
            task=variant.task,
            variant=variant.name,
            sha256=models.registry.pinned(variant).sha256,
            runtime=settings.models.runtime if variant.task is Task.SCREEN else analysis,
        )
        for system in systems_of(mode)
        for variant in models.lineup.of_system(system)
    )


def _model_changes(was: tuple[UsedModel, ...], now: tuple[UsedModel, ...]) -> list[str]:
    before = {(model.task, model.variant): model for model in was}
    after = {(model.task, model.variant): model for model in now}
    found = [f"{model.task} was done with {model.variant}" for key, model in before.items() if key not in after]
    found += [f"{model.task} is now done with {model.variant}" for key, model in after.items() if key not in before]
    for key in before.keys() & after.keys():
        if before[key].sha256 != after[key].sha256:
            found.append(f"{before[key].variant} has other weights")
        elif before[key].runtime != after[key].runtime:
            found.append(f"{before[key].variant} was run by {before[key].runtime}, now by {after[key].runtime}")
    return sorted(found)


async def _gallery(models: Models) -> str:
    if models.identification.error is not None:
        return f"none ({models.identification.error.code})"
    gallery = models.identification.gallery
    people = await gallery.people(0, gallery.count)
    if not people:
        return "nobody enrolled"
    return f"{len(people)} people, {_checksum(' '.join(sorted(str(person.id) for person in people)))}"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
