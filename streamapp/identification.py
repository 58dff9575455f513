"""The gallery beside the models that recognise: opened with the ensemble that is installed, or without, and why not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from streamapp.errors import GalleryError, ModelMissing, StreamappError, UsageError
from streamapp.findings import Embedding
from streamapp.gallery.calibration import parse_calibrations
from streamapp.gallery.fusion import Fusion, Member
from streamapp.gallery.gallery import Gallery, store_of
from streamapp.gallery.search import SearchResult
from streamapp.gallery_settings import GallerySettings
from streamapp.zoo.lineup import Lineup, System
from streamapp.zoo.registry import PULL_COMMAND

SWEEP_EVERY_S = 86400.0
KEEP_UP_EVERY_S = 60.0
CANDIDATES = 5
"""People a look at a face is compared with in the votes."""

_log = logging.getLogger(__name__)


def fusion_of(lineup: Lineup, calibrations: Path) -> Fusion:
    """The installed recognisers that have a calibration. Raises ModelMissing if there is none, UsageError for a file
    that cannot be read."""
    try:
        curves = parse_calibrations(calibrations.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{calibrations} cannot be read: {error}") from error
    members = [Member(curves[one.variant], one.weight) for one in lineup.recognisers if one.variant in curves]
    if members:
        return Fusion(tuple(members))
    if lineup.recognisers:
        names = ", ".join(one.variant for one in lineup.recognisers)
        raise ModelMissing(
            f"{calibrations.name} has no calibration of {names}; `streamapp evaluate calibrate` makes it"
        )
    absent = [one.message for one in lineup.absent if one.system is System.RECOGNITION]
    raise ModelMissing("; ".join(absent) or f"no recogniser is installed; run `{PULL_COMMAND} --profile light`")


class Identification:
    """The gallery of this process. Used on the event loop's thread."""

    def __init__(self, gallery: Gallery | None, error: StreamappError | None) -> None:
        self._gallery = gallery
        self.error = error
        """Why nobody is compared: there is no gallery, or no recogniser."""
        self._seen: dict[UUID, float] = {}
        self._swept_s = float("-inf")

    @classmethod
    @asynccontextmanager
    async def start(
        cls, settings: GallerySettings, lineup: Lineup, calibrations: Path
    ) -> AsyncIterator[Identification]:
        """Opens the gallery for the length of the block. One that cannot be used takes nothing else down with it."""
        missing = None
        try:
            fusion = fusion_of(lineup, calibrations)
        except ModelMissing as error:  # /health says so, too
            fusion, missing = Fusion(()), error
            _log.info("faces are not compared with anybody: %s", error)
        try:
            gallery = Gallery(store_of(settings), fusion, settings)
            await gallery.open(time.time())
        except GalleryError as error:
            _log.warning("faces are not compared with anybody: %s", error)
            yield cls(None, error)
            return
        identification = cls(gallery, missing)
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(identification._keep(), name="gallery:retention")
                yield identification
                keeping.cancel()
        finally:
            await gallery.close()

    @property
    def gallery(self) -> Gallery:
        """To compare faces with. Raises why that cannot be: GalleryError, ModelMissing."""
        if self.error is not None:
            raise self.error
        return self.people

    @property
    def people(self) -> Gallery:
        """For all that needs no recogniser: who is there is shown, exported and erased also without one. Raises
        GalleryError."""
        if self._gallery is None:
            raise self.error or GalleryError("there is no gallery")
        return self._gallery

    @property
    def is_open(self) -> bool:
        """Whether it is known who is there."""
        return self._gallery is not None

    @property
    def version(self) -> int | None:
        """As `Gallery.version`; None if there is no gallery."""
        return None if self._gallery is None else self._gallery.version

    def name_of(self, person_id: UUID) -> str | None:
        """None for somebody who is not, or no longer, in the gallery."""
        return None if self._gallery is None else self._gallery.name(person_id)

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        """The people most like a face; None if the gallery cannot be used, now or at all."""
        if self._gallery is None or self.error is not None:
            return None
        try:
            return await self._gallery.search(probe, CANDIDATES, time.time())
        except StreamappError as error:
            _log.warning("a face was not compared with anybody: %s", error)
            return None

    def note_seen(self, person_id: UUID) -> None:
        """Somebody was identified just now."""
        self._seen[person_id] = time.time()

    def watch_erasures(self, watcher: Callable[[UUID], None]) -> None:
        """As `Gallery.watch_erasures`, where there is a gallery."""
        if self._gallery is not None:
            self._gallery.watch_erasures(watcher)

    def watch_enrolments(self, watcher: Callable[[], None]) -> None:
        """As `Gallery.watch_enrolments`, where there is a gallery."""
        if self._gallery is not None:
            self._gallery.watch_enrolments(watcher)

    def watch_names(self, watcher: Callable[[UUID, str | None], None]) -> None:
        """As `Gallery.watch_names`, where there is a gallery."""
        if self._gallery is not None:
            self._gallery.watch_names(watcher)

    @property
    def copy_version(self) -> int | None:
        """Of the copy of another process's gallery that is searched here, if one is."""
        return None

    def copies(self) -> Gallery | None:
        """Whose copies may be searched elsewhere; None where faces are compared with nobody."""
        return None if self.error is not None else self._gallery

    async def keep_up(self) -> None:
        """Notes when people were seen, and erases those whose time is over."""
        seen, self._seen = self._seen, {}
        if seen:
            await self.people.saw(seen)
        if time.monotonic() - self._swept_s >= SWEEP_EVERY_S:
            await self.people.sweep(actor="retention", now=time.time())
            self._swept_s = time.monotonic()

    async def _keep(self) -> None:
        while True:
            try:
                await self.keep_up()
            except StreamappError as error:
                _log.warning("the gallery was not kept up: %s", error)
            await asyncio.sleep(KEEP_UP_EVERY_S)
