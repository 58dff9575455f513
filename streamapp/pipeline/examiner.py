"""One picture through a mode's chain: MediaPipe > YOLO > MTCNN > analysis. Every step is a job of the scheduler.

The same for a picture sent to the API and for a keyframe of a stream; only who asks differs. Pixels are scaled and cut
on threads of their own, so that a job owns what it needs and the loop never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from uuid import UUID

import numpy as np

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Detections, Detector, Mode
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.search import SearchResult
from streamapp.pipeline.aggregate import Findings, Identification
from streamapp.pipeline.merging import SeenFace, confirmed, merged
from streamapp.results import Skipped
from streamapp.scheduler.api import Done, Dropped, Failed, Item, Job, ModelRun, Outcome, Priority, Scheduler, Value
from streamapp.zoo.base import Crop, Face, Operation
from streamapp.zoo.blazeface_litert import squared
from streamapp.zoo.crops import letterbox
from streamapp.zoo.lineup import FaceAnalyser, Lineup, System
from streamapp.zoo.mtcnn_operations import FacePatch, face_patch, whole_view

MIN_FACE_PX = 16
"""Smaller faces are found, but not analysed: there is nothing in them to see."""
MIN_RECOGNISED_PX = 28
"""Smaller ones look alike to recognisers, whoever they are: docs/evaluation.md."""
MIN_ALONE = 0.9
"""MTCNN's score from which a face counts that no other detector saw."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a picture is examined, and how urgently. `deadline_s`: of `time.monotonic()`."""

    owner: str
    priority: Priority
    deadline_s: float
    reason: str
    lost: Mapping[str, Dropped | Failed] = field(default_factory=dict)
    """Operations that are not run, by name, and how they end: for the replay of a session in which they ended so."""


@dataclass(slots=True)
class Examination:
    """What was found in a picture so far, by whom, and what was left out."""

    faces: list[SeenFace] = field(default_factory=list)
    findings: list[Findings] = field(default_factory=list)
    """One per face; empty unless faces were analysed."""
    runs: dict[str, ModelRun] = field(default_factory=dict)
    """The models that took part, by variant."""
    skipped: list[Skipped] = field(default_factory=list)
    failures: dict[str, Dropped | Failed] = field(default_factory=dict)
    """Outcomes of jobs that did not end well, by operation; none is asked for twice."""
    timing_ms: dict[str, float] = field(default_factory=dict)


class Models(Protocol):
    """The models of the process, as a stream sees them."""

    @property
    def examiner(self) -> Examiner:
        """With what is installed now."""

    async def require(self, mode: Mode) -> None:
        """Raises ModelMissing unless the mode can be run."""

    @property
    def vote_rules(self) -> VoteRules: ...

    def name_of(self, person_id: UUID) -> str | None:
        """The name of somebody in the gallery; None for those who are not, or no longer, there."""

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        """The people most like a face; None if the gallery cannot be used."""

    def note_seen(self, person_id: UUID) -> None:
        """Somebody was identified just now."""


class Examiner:
    """Used on the event loop's thread."""

    def __init__(self, scheduler: Scheduler, lineup: Lineup) -> None:
        self._scheduler = scheduler
        self.lineup = lineup

    async def examine(self, rgb: Image, mode: Mode, asker: Asker) -> Examination:
        """A whole picture, by all that the mode has."""
        examination = Examination()
        await self.find_faces(rgb, mode, asker, examination)
        if mode is Mode.FULL:
            await self.analyse([rgb] * len(examination.faces), asker, examination)
        return examination

    async def find_faces(
        self, rgb: Image, mode: Mode, asker: Asker, examination: Examination, screened: Detections | None = None
    ) -> None:
        """Asks the mode's detectors. `screened`: what MediaPipe has already seen; then this is a keyframe of a stream,
        and MTCNN only refines."""
        with _Timer(examination, "detect"):
            async with asyncio.TaskGroup() as group:
                screen = group.create_task(self._screen(rgb, asker, examination, screened))
                detect = cascade = None
                if mode is not Mode.FAST:
                    detect = group.create_task(self._detect(rgb, asker, examination))
                if mode not in (Mode.FAST, Mode.STANDARD) and screened is None:
                    cascade = group.create_task(self._cascade(rgb, asker, examination))
            chain = [task.result() for task in (screen, detect, cascade) if task is not None]
            faces = merged([found for found in chain if found is not None])
            examination.faces = [face for face in faces if face.seen_by != (Detector.MTCNN,) or face.score >= MIN_ALONE]
        if mode in (Mode.PRECISION, Mode.FULL):
            await self.refine([rgb] * len(examination.faces), asker, examination)

    async def refine(self, pictures: Sequence[Image], asker: Asker, examination: Examination) -> None:
        """Asks MTCNN about the faces it has not seen by itself. pictures: the one in which each face is."""
        with _Timer(examination, "refine"):
            await self._refine(pictures, asker, examination)

    async def analyse(
        self,
        pictures: Sequence[Image],
        asker: Asker,
        examination: Examination,
        systems: Collection[System] = tuple(System),
    ) -> None:
        """Asks the analysis models, or those of some systems, about every face, side by side. pictures: the one in
        which each face is."""
        lineup, faces = self.lineup.only(systems), examination.faces
        with _Timer(examination, "analyse"):
            async with asyncio.TaskGroup() as group:
                embedded = [
                    group.create_task(self._ask_about_faces(pictures, System.RECOGNITION, member, asker, examination))
                    for member in lineup.recognisers
                ]
                live = group.create_task(
                    self._ask_about_faces(pictures, System.ANTISPOOF, lineup.antispoofer, asker, examination)
                )
                years = group.create_task(
                    self._ask_about_faces(pictures, System.GENDER_AGE, lineup.gender_age, asker, examination)
                )
                fake = group.create_task(
                    self._ask_about_faces(pictures, System.DEEPFAKE, lineup.deepfake, asker, examination)
                )
        members = [member.variant for member in lineup.recognisers]
        members += [absent.variant for absent in lineup.absent if absent.system is System.RECOGNITION]
        self._note_absent(examination, systems)
        examination.findings = [
            Findings(
                _identification([task.result()[index] for task in embedded], members),
                _named(lineup.antispoofer, live.result()[index]),
                _named(lineup.gender_age, years.result()[index]),
                _named(lineup.deepfake, fake.result()[index]),
            )
            for index in range(len(faces))
        ]

    # -- detectors ----------------------------------------------------------------------------------------------------

    async def _screen(
        self, rgb: Image, asker: Asker, examination: Examination, screened: Detections | None
    ) -> Detections | None:
        if screened is not None or self.lineup.screener is None:
            return screened
        item = await asyncio.to_thread(squared, rgb, self.lineup.screener.model.spec.side)
        return _first(await self._ask(System.MEDIAPIPE, self.lineup.screener, [item], asker, examination))

    async def _detect(self, rgb: Image, asker: Asker, examination: Examination) -> Detections | None:
        if self.lineup.detector is None:
            return None
        item = await asyncio.to_thread(letterbox, rgb, self.lineup.detector.model.spec.side)
        return _first(await self._ask(System.YOLO, self.lineup.detector, [item], asker, examination))

    async def _cascade(self, rgb: Image, asker: Asker, examination: Examination) -> Detections | None:
        if self.lineup.cascade is None:
            return None
        item = await asyncio.to_thread(whole_view, rgb)
        return _first(await self._ask(System.MTCNN, self.lineup.cascade, [item], asker, examination))

    async def _refine(self, pictures: Sequence[Image], asker: Asker, examination: Examination) -> None:
        if self.lineup.refinement is None:
            return
        faces = examination.faces
        unseen = [index for index, face in enumerate(faces) if Detector.MTCNN not in face.seen_by]
        cut = await asyncio.to_thread(lambda: [face_patch(pictures[index], faces[index].box) for index in unseen])
        patches: list[tuple[int, FacePatch]] = [
            (index, patch) for index, patch in zip(unseen, cut, strict=True) if patch is not None
        ]
        items = [patch for _, patch in patches]
        refined = await self._ask(System.MTCNN, self.lineup.refinement, items, asker, examination)
        for (index, _), found in zip(patches, refined, strict=False):
            examination.faces[index] = confirmed(examination.faces[index], found)

    # -- analysis -----------------------------------------------------------------------------------------------------

    async def _ask_about_faces(
        self,
        pictures: Sequence[Image],
        system: System,
        analyser: FaceAnalyser[V] | None,
        asker: Asker,
        examination: Examination,
    ) -> list[V | None]:
        """One answer per face; None where there is none, which `skipped` says why."""
        answers: list[V | None] = [None] * len(examination.faces)
        if analyser is None or not answers:
            return answers
        min_px = MIN_RECOGNISED_PX if system is System.RECOGNITION else MIN_FACE_PX
        cut = await asyncio.to_thread(_cut_all, pictures, examination.faces, analyser, min_px)
        for index, problem in ((i, crop) for i, crop in enumerate(cut) if isinstance(crop, str)):
            examination.skipped.append(Skipped(system, analyser.variant, problem, ModelInputInvalid.code, index))
        crops = [(index, crop) for index, crop in enumerate(cut) if isinstance(crop, Crop)]
        values = await self._ask(system, analyser.operation, [crop for _, crop in crops], asker, examination)
        for (index, _), value in zip(crops, values, strict=False):
            answers[index] = value
        return answers

    async def _ask(
        self, system: System, operation: Operation[Item, Value], items: Sequence[Item], asker: Asker, into: Examination
    ) -> Sequence[Value]:
        """The values of a job, or none if it did not end well, which is noted."""
        outcome: Outcome[Value] | None = asker.lost.get(operation.name)
        if outcome is None:
            job = Job(operation, items, asker.owner, asker.priority, asker.deadline_s, asker.reason)
            outcome = await self._scheduler.submit(job)
        match outcome:
            case Done(values, models):
                into.runs |= {run.variant: run for run in models}
                return values
            case Dropped(reason, detail):
                into.skipped.append(Skipped(system, " + ".join(operation.variants), detail, reason))
            case Failed(error):
                into.skipped.append(Skipped(system, " + ".join(operation.variants), str(error), error.code))
        into.failures[operation.name] = outcome
        return ()

    def _note_absent(self, examination: Examination, systems: Collection[System]) -> None:
        for absent in self.lineup.absent:
            if not absent.system.is_detector and absent.system in systems:
                examination.skipped.append(Skipped(absent.system, absent.variant, absent.message, "model_missing"))


class _Timer:
    """Adds how long a step took."""

    def __init__(self, examination: Examination, step: str) -> None:
        self._examination, self._step = examination, step

    def __enter__(self) -> None:
        self._start_s = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._examination.timing_ms[self._step] = (time.monotonic() - self._start_s) * 1e3


def _cut_all(
    pictures: Sequence[Image], faces: Sequence[SeenFace], analyser: FaceAnalyser[V], min_px: int
) -> list[Crop | str]:
    """A crop of each face, or why there is none."""
    cut: list[Crop | str] = []
    for rgb, face in zip(pictures, faces, strict=True):
        width = float(face.box[2] - face.box[0])
        if not width >= min_px:
            cut.append(f"the face is {width:.0f} pixels wide; {min_px} are needed")
            continue
        try:
            cut.append(analyser.model.cut(rgb, Face(np.asarray(face.box, np.float32), face.landmarks)))
        except ModelInputInvalid as error:
            cut.append(str(error))
    return cut


def _identification(embeddings: Sequence[Embedding | None], members: Sequence[str]) -> Identification | None:
    usable = {found.model: found for found in embeddings if found is not None and found.is_usable}
    return Identification(usable, tuple(name for name in members if name not in usable)) if usable else None


def _named(analyser: FaceAnalyser[V] | None, value: V | None) -> tuple[str, V] | None:
    return None if analyser is None or value is None else (analyser.variant, value)


def _first(values: Sequence[V]) -> V | None:
    return values[0] if values else None
