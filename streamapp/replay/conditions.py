"""Under what a session was decided: models, settings, gallery, processor. Where they differ, so may the decisions."""

from __future__ import annotations

import hashlib
import platform

from pydantic import BaseModel, ConfigDict, Field

from streamapp import __version__
from streamapp.faces import Mode
from streamapp.models import Models
from streamapp.recording.description import models_in_use, settings_in_force
from streamapp.recording.entry import ModelInUse
from streamapp.settings import Settings
from streamapp.zoo.graph_cache import processor


class Conditions(BaseModel):
    """What is not known, as headers of recordings do not say it, is empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    app_version: str
    mode: Mode
    models: tuple[ModelInUse, ...] = ()
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
    return Conditions(
        app_version=__version__,
        mode=mode,
        models=models_in_use(mode, settings, models.lineup, models.registry),
        settings=settings_in_force(settings),
        gallery=await _gallery(models) if mode is Mode.FULL else "",
        processor=f"{platform.machine()} {_checksum(processor())}",
    )


def _model_changes(was: tuple[ModelInUse, ...], now: tuple[ModelInUse, ...]) -> list[str]:
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
