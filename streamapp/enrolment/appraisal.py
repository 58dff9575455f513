"""A picture, or a shot of a live track, as it is judged before it is remembered or compared."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamapp.errors import ModelMissing, Overloaded
from streamapp.faces import Detector, Mode
from streamapp.frame import Box, Image
from streamapp.gallery.gate import FaceView, GateRules, Refusal, face_meant, pose_of, refusals
from streamapp.gallery.people import Sample
from streamapp.models import PICTURE_DEADLINE_S, RETRY_AFTER_S, Models
from streamapp.pipeline.aggregate import LIVE_ABOVE, SPOOF_BELOW, Findings
from streamapp.pipeline.examiner import Asker, Examination
from streamapp.pipeline.merging import SeenFace
from streamapp.pipeline.shots import FaceShot, sharpness
from streamapp.results import LivenessState
from streamapp.scheduler.api import Failed, Priority
from streamapp.zoo.lineup import System

_SYSTEMS = (System.RECOGNITION, System.ANTISPOOF)


@dataclass(frozen=True, slots=True, eq=False)
class Appraisal:
    """What one picture gave. `view`: the face that was meant; None where that cannot be told."""

    view: FaceView | None
    refusals: tuple[Refusal, ...]

    @property
    def good(self) -> FaceView | None:
        """The face, if nothing is wrong with it."""
        return None if self.refusals else self.view


def sample_of(view: FaceView, taken_at: float) -> Sample:
    """To be remembered. Of a good look only. taken_at: Unix time in seconds."""
    return Sample(tuple(view.embeddings.values()), view.quality, taken_at)


class FaceReader:
    """Shows pictures to detectors, recognisers and anti-spoofing. Used on the event loop's thread.

    Every method raises ModelMissing, with the command that helps, if a detector or every recogniser is lacking, and
    Overloaded or ModelError if a model gave no answer: that is no fault of the picture's."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def photo(self, rgb: Image, rules: GateRules, *, client: str) -> Appraisal:
        """The one face of an upright RGB picture."""
        asker, examination = await self._detected(rgb, client)
        boxes = np.array([face.box for face in examination.faces], np.float32).reshape(-1, 4)
        meant = face_meant(boxes, [len(face.seen_by) for face in examination.faces])
        if isinstance(meant, Refusal):
            return Appraisal(None, (meant,))
        examination.faces = [examination.faces[meant]]
        (appraisal,) = self._judged(await self._views([rgb], asker, examination), rules)
        return appraisal

    async def faces(self, rgb: Image, rules: GateRules, *, client: str) -> list[Appraisal]:
        """Every face of an upright RGB picture."""
        asker, examination = await self._detected(rgb, client)
        return self._judged(await self._views([rgb] * len(examination.faces), asker, examination), rules)

    async def shots(
        self, shots: Sequence[FaceShot], rules: GateRules, *, owner: str, known: LivenessState | None
    ) -> list[Appraisal]:
        """Shots of one live track. How live it is, is told by all of them together, and by what is `known` of it."""
        await self._require()
        asker, examination = _asker(owner), Examination()
        examination.faces = [_as_face(shot) for shot in shots]
        pictures = [shot.pixels for shot in shots]
        await self._models.examiner.refine(pictures, asker, examination)
        views = await self._views(pictures, asker, examination)
        together = LivenessState.SPOOF if known is LivenessState.SPOOF else self._liveness(examination.findings)
        return self._judged([replace(view, liveness=together) for view in views], rules)

    async def _detected(self, rgb: Image, client: str) -> tuple[Asker, Examination]:
        await self._require()
        asker, examination = _asker(client), Examination()
        await self._models.examiner.find_faces(rgb, Mode.PRECISION, asker, examination)
        _raise_failure(examination)
        return asker, examination

    async def _require(self) -> None:
        models = self._models
        await models.require(Mode.PRECISION)
        if not models.lineup.recognisers:
            await asyncio.to_thread(models.look_again)
        if not models.lineup.recognisers:
            absent = [absent.message for absent in models.lineup.absent if absent.system is System.RECOGNITION]
            raise ModelMissing(f"faces cannot be compared: {absent[0]}" if absent else "there is no recogniser")

    async def _views(self, pictures: Sequence[Image], asker: Asker, examination: Examination) -> list[FaceView]:
        """Of each face of the examination; pictures: the one in which it is."""
        await self._models.examiner.analyse(pictures, asker, examination, _SYSTEMS)
        _raise_failure(examination)
        boxes = [_box(face) for face in examination.faces]
        sharp = await asyncio.to_thread(lambda: list(map(sharpness, pictures, boxes)))
        return [
            FaceView(
                box=box,
                score=face.score,
                pose=None if face.landmarks is None else pose_of(face.landmarks),
                outside=_outside(box, rgb),
                sharpness=found_sharp,
                embeddings=findings.identification.embeddings if findings.identification else {},
                liveness=self._liveness([findings]),
                live=findings.liveness[1].live if findings.liveness else None,
            )
            for face, box, rgb, found_sharp, findings in zip(
                examination.faces, boxes, pictures, sharp, examination.findings, strict=True
            )
        ]

    def _judged(self, views: Sequence[FaceView], rules: GateRules) -> list[Appraisal]:
        asked = [member.variant for member in self._models.lineup.recognisers]
        return [Appraisal(view, refusals(view, asked, rules)) for view in views]

    def _liveness(self, findings: Sequence[Findings]) -> LivenessState | None:
        """By the mean of all; None only where there is no model to tell. What is not a number decides nothing."""
        if self._models.lineup.antispoofer is None:
            return None
        scores = [found.liveness[1].live for found in findings if found.liveness is not None]
        mean = float(np.mean(scores)) if scores else math.nan
        if mean >= LIVE_ABOVE:
            return LivenessState.LIVE
        return LivenessState.SPOOF if mean <= SPOOF_BELOW else LivenessState.UNDECIDED


def _asker(owner: str) -> Asker:
    return Asker(owner, Priority.IMAGE, time.monotonic() + PICTURE_DEADLINE_S, "asked for")


def _raise_failure(examination: Examination) -> None:
    for outcome in examination.failures.values():
        if isinstance(outcome, Failed):
            raise outcome.error
        raise Overloaded(
            f"the picture was not looked at ({outcome.reason}): {outcome.detail}", retry_after_s=RETRY_AFTER_S
        )


def _as_face(shot: FaceShot) -> SeenFace:
    return SeenFace(np.array(shot.box, np.float32), shot.score, None, None, Detector.MEDIAPIPE, (Detector.MEDIAPIPE,))


def _box(face: SeenFace) -> Box:
    x1, y1, x2, y2 = face.box.tolist()
    return x1, y1, x2, y2


def _outside(box: Box, rgb: Image) -> float:
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = box
    beyond: float = max(0.0, -x1, -y1, x2 - width, y2 - height)
    return beyond / max(x2 - x1, y2 - y1, 1.0)
