"""The models of this process: which there are, who runs them, and what they say of a picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from uuid import UUID

from streamapp.assets import asset
from streamapp.errors import ModelMissing, Overloaded
from streamapp.faces import Mode
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.gallery.gallery import vote_rules_of
from streamapp.gallery.search import SearchResult
from streamapp.hosting.host import ModelHost, WatchedResidency, WatchedScheduler, local_host
from streamapp.hosting.process import process_host
from streamapp.identification import Identification
from streamapp.pipeline.examiner import Asker, Examination, Examiner
from streamapp.pipeline.identities import Identities, Identity, Look
from streamapp.pipeline.report import image_result, liveness_of
from streamapp.results import DropReason, ImageResult
from streamapp.scheduler.api import Dropped, Failed, Priority
from streamapp.scheduler.device_memory import resolve_device
from streamapp.settings import Settings
from streamapp.zoo.lineup import Lineup, System
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device

PICTURE_DEADLINE_S = 30.0
"""A client that sent a picture waits no longer."""
RETRY_AFTER_S = 2
CALIBRATIONS = "models/calibration.toml"
"""How alike different people look to each recogniser."""


class Models:
    """Used on the event loop's thread."""

    def __init__(self, settings: Settings, registry: Registry, device: Device) -> None:
        self.device = device
        self.registry = registry
        self._settings = settings
        self.lineup = self._resolve()
        self.vote_rules = vote_rules_of(settings.gallery)
        self.identification = Identification(None, None)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        settings: Settings,
        host: AbstractAsyncContextManager[ModelHost] | None = None,
        identification: Identification | None = None,
    ) -> AsyncIterator[Models]:
        """Runs the models for the length of the block. host: who does, if not what the settings say; identification:
        the gallery, if it is not this process's. Raises ManifestInvalid, ModelInvalid, DeviceLost, and UsageError
        where models cannot have a process of their own."""
        chosen = settings.scheduler
        models = cls(settings, Registry.from_settings(settings), resolve_device(chosen.device, chosen.gpus[0]))
        if host is None and (chosen.process or settings.server.workers):
            host = process_host(settings)
        async with AsyncExitStack() as stack:
            models.host = at_work = await stack.enter_async_context(
                host or local_host(settings, models.registry, models.device)
            )
            models.scheduler, models.residency = at_work.scheduler, at_work.residency
            if identification is None:
                identification = await stack.enter_async_context(
                    Identification.start(settings.gallery, models.lineup, asset(CALIBRATIONS))
                )
            models.identification = identification
            yield models

    host: ModelHost
    scheduler: WatchedScheduler
    residency: WatchedResidency

    @property
    def examiner(self) -> Examiner:
        return Examiner(self.scheduler, self.lineup)

    def name_of(self, person_id: UUID) -> str | None:
        """The name of somebody in the gallery; None for those who are not, or no longer, there."""
        return self.identification.name_of(person_id)

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        """The people most like a face; None if the gallery cannot be used."""
        return await self.identification.search(probe)

    def note_seen(self, person_id: UUID) -> None:
        """Somebody was identified just now."""
        self.identification.note_seen(person_id)

    async def require(self, mode: Mode) -> None:
        """Raises ModelMissing, naming what is missing, unless the mode can be run. Looks again if something was
        missing before: it may have been pulled since."""
        try:
            self.lineup.require(mode)
        except ModelMissing:
            await asyncio.to_thread(self.look_again)
            self.lineup.require(mode)

    def look_again(self) -> None:
        """Takes in what was installed meanwhile, if anything is missing. Blocks for a moment; for any thread."""
        if self.lineup.absent:
            self.lineup = self._resolve()

    async def examine(self, rgb: Image, mode: Mode, *, client: str) -> ImageResult:
        """Everything a mode finds in an upright RGB picture.

        Raises ModelMissing if a detector of the mode is not installed, ModelError if one failed, Overloaded if one had
        no time or memory. An analysis that could not be made is named in `skipped`."""
        await self.require(mode)
        start_s = time.monotonic()
        asker = Asker(client, Priority.IMAGE, start_s + PICTURE_DEADLINE_S, "asked for")
        examiner = self.examiner
        examination = await examiner.examine(rgb, mode, asker)
        _raise_failed_detection(examination)
        examination.timing_ms["total"] = (time.monotonic() - start_s) * 1e3
        identities = await self.identities(examination)
        return image_result(examination, (rgb.shape[1], rgb.shape[0]), mode, examiner.lineup.variants, identities)

    async def identities(self, examination: Examination) -> list[Identity | None]:
        """Who the faces of a picture are, by the one look there is at each; None where nobody was compared."""
        board = Identities(self.vote_rules.for_one_look, self.name_of)
        for index, findings in enumerate(examination.findings):
            found = findings.identification
            result = await self.search(found.embeddings) if found is not None else None
            if result is not None:
                board.add(index, Look(frame=0, at_s=0.0, quality=1.0, result=result))
        board.decide({index: liveness_of(findings) for index, findings in enumerate(examination.findings)})
        return [board.of(index) for index in range(len(examination.findings))]

    def _resolve(self) -> Lineup:
        return Lineup.from_settings(self.registry, self._settings, self.device)


def _raise_failed_detection(examination: Examination) -> None:
    """A picture in which nobody looked for faces must not look like one without."""
    lost = {System(skipped.task) for skipped in examination.skipped if skipped.face is None}
    if not any(system.is_detector for system in lost):
        return
    for outcome in examination.failures.values():
        match outcome:
            case Failed(error):
                raise error
            case Dropped(DropReason.CLOSED, detail):
                raise Overloaded(detail, retry_after_s=RETRY_AFTER_S)
            case Dropped(reason, detail):
                raise Overloaded(f"the picture was not looked at ({reason}): {detail}", retry_after_s=RETRY_AFTER_S)
