"""What this machine is, as an answer has it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, Field

from streamapp import __version__
from streamapp.choices import Profile
from streamapp.doctor import Check, CheckStatus
from streamapp.models import Models
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.server.services import gpu_in_use
from streamapp.zoo.lineup import System
from streamapp.zoo.registry import PULL_COMMAND
from streamapp.zoo.session import Device


class CheckInfo(BaseModel):
    """One thing the doctor looked at."""

    name: str
    status: CheckStatus
    detail: str
    remedy: str | None = Field(description="The command that mends it; null where there is nothing to mend.")


class ModelInfo(BaseModel):
    """One set of weights that the app knows."""

    variant: str
    system: System
    task: str
    installed: bool
    in_use: bool = Field(description="Whether the profile has chosen it.")
    provider: str | None = Field(description="What runs it, as its session says; null while it is not loaded.")
    licence: str | None = Field(description="null: not known.")
    commercial_use: bool | None = Field(description="Whether the licence allows it; null: not known.")
    reference: str | None
    command: str | None = Field(description="What gets it; null if it is installed, or has no known source.")


class MachineReport(BaseModel):
    version: str
    device: Device = Field(description="Where analysis models are to run.")
    gpu: str | None = Field(description="The GPU, if a session that is loaded says it runs there.")
    profile: Profile
    checks: list[CheckInfo]
    models: list[ModelInfo]

    @classmethod
    def of(cls, models: Models, snapshot: ResidencySnapshot, checks: Iterable[Check]) -> MachineReport:
        """Looks which files are there."""
        providers = {model.variant: model.provider for model in snapshot.resident}
        infos = []
        for variant in models.registry.manifest.variants:
            installed = models.registry.is_installed(variant)
            infos.append(
                ModelInfo(
                    variant=variant.name,
                    system=System.of(variant.task),
                    task=variant.task,
                    installed=installed,
                    in_use=variant.name in models.lineup.variants,
                    provider=providers.get(variant.name),
                    licence=variant.licence or None,
                    commercial_use=variant.commercial_use,
                    reference=variant.reference or None,
                    command=None if installed or not variant.sources else f"{PULL_COMMAND} {variant.name}",
                )
            )
        return cls(
            version=__version__,
            device=models.device,
            gpu=gpu_in_use(snapshot),
            profile=models.lineup.profile,
            checks=[CheckInfo(name=c.name, status=c.status, detail=c.detail, remedy=c.remedy) for c in checks],
            models=infos,
        )
