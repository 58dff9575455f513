"""Made-up people in made-up pictures, and models that know them: who it is, is the picture's red."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from av import VideoFrame

from streamapp.findings import Embedding, Liveness
from streamapp.frame import Image
from streamapp.gallery.calibration import Calibration
from streamapp.gallery.fusion import Fusion, Member
from streamapp.gallery.gallery import Gallery, store_of
from streamapp.gallery.gate import FaceView, Pose
from streamapp.gallery.people import Consent
from streamapp.gallery_settings import GallerySettings
from streamapp.identification import Identification
from streamapp.models import Models
from streamapp.results import LivenessState
from streamapp.settings import Settings
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.zoo.base import Crop
from streamapp.zoo.session import Device
from tests.fakes import Answer, ScriptedScheduler
from tests.pipeline.lineups import ANTISPOOF, RECOGNISERS, answers, lineup
from tests.zoo.variants import hollow_registry

NOW = 1_800_000_000.0
DAY_S = 86_400.0
FACE = (200.0, 120.0, 400.0, 360.0)
FUSION = Fusion(tuple(Member(Calibration(name, (0.0, 0.1), (0.0, 2.2), 1000), 1.0) for name in RECOGNISERS))
"""Random directions of 512 numbers have cosines of about 0.045 times a level."""
DIMENSIONS = 512


def picture(person: int, *, unlike: int = 0, take: int = 0, blurred: bool = False) -> Image:
    """RGB [480, 640, 3]. person: up to 24; unlike: up to 9, how little this picture of them is like the others."""
    grain = np.random.default_rng(take).integers(0, 256, (480, 640, 3), np.uint8)
    rgb = np.full_like(grain, 128) if blurred else grain
    rgb[:, :, 0] = person * 10 + unlike
    return rgb


def looks(model: str, red: int) -> Embedding:
    """The same for the same red; of the same person, cosine about 1 / sqrt(1 + unlike^2)."""
    person, unlike = divmod(red, 10)
    number = RECOGNISERS.index(model)
    direction = np.random.default_rng([person, number]).standard_normal(DIMENSIONS)
    change = np.random.default_rng([person, number, 1]).standard_normal(DIMENSIONS)
    return Embedding.of(model, (direction + unlike * change).astype(np.float32))


def view(person: int, *, unlike: int = 0, liveness: LivenessState | None = LivenessState.LIVE) -> FaceView:
    """A good one."""
    embeddings = {model: looks(model, person * 10 + unlike) for model in RECOGNISERS}
    return FaceView(FACE, 0.95, Pose(80.0, 0.0, 0.5), 0.0, 0.9, embeddings, liveness, 0.95)


def script(*boxes: tuple[float, float, float, float], live: float = 0.95) -> dict[str, Answer]:
    """What the models say: faces at these boxes, or one at FACE."""

    def recognised(name: str) -> Answer:
        def answer(crop: Crop) -> Embedding:
            return looks(name, int(np.median(crop.pixels[:, :, 0])))

        return answer

    said = answers(yolo=boxes or (FACE,))
    said |= {name: recognised(name) for name in RECOGNISERS}
    return said | {ANTISPOOF: lambda _: Liveness(live, (("spoof", 1 - live),))}


class PortraitSource:
    """A live Source of pictures of somebody, 30 a second, who may change; for ever, or so many."""

    live = True

    def __init__(self, numbering: FrameNumbering, person: Callable[[int], int], *, count: int = 1_000_000) -> None:
        self._numbering, self._person, self._count = numbering, person, count

    async def run(self, outlet: Outlet) -> None:
        start_s = time.monotonic()
        outlet.connected()
        for number in range(self._count):
            await asyncio.sleep(max(0.0, start_s + number / 30 - time.monotonic()))
            video = VideoFrame.from_ndarray(picture(self._person(number), take=number % 7), format="rgb24")
            outlet.offer(self._numbering.frame(video, number / 30, arrived_s=time.monotonic()))
        await asyncio.Event().wait()


def consent(*, until: float = NOW + DAY_S) -> Consent:
    return Consent("Ada herself, in writing", "text-2026-01", NOW - 60, until)


async def use_script(models: Models, folder: Path, scheduler: ScriptedScheduler, settings: GallerySettings) -> Gallery:
    """Has models answer from a script, with an open gallery, which is the caller's to close. folder: for files that
    look like weights."""
    models.lineup = lineup(folder)
    models.scheduler = scheduler  # type: ignore[assignment]  # a Scheduler as well
    gallery = Gallery(store_of(settings), FUSION, settings)
    await gallery.open(NOW)
    models.identification = Identification(gallery, None)
    return gallery


@asynccontextmanager
async def scripted_models(
    folder: Path, scheduler: ScriptedScheduler | None = None, **gallery_settings: object
) -> AsyncIterator[Models]:
    settings = Settings()
    settings = settings.model_copy(update={"gallery": settings.gallery.model_copy(update=gallery_settings)})
    models = Models(settings, hollow_registry(folder), Device.CPU)
    gallery = await use_script(models, folder, scheduler or ScriptedScheduler(script()), settings.gallery)
    yield models
    await gallery.close()
