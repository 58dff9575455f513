"""What single crops of a face say by themselves: the very crops that the app looks at, and crops at a steady pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streamapp.evaluation.enrolling import CLIENT, DEADLINE_S
from streamapp.faces import TrackState
from streamapp.frame import PixelReader
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.people import NameOf
from streamapp.gallery.search import SearchResult
from streamapp.models import Models
from streamapp.pipeline.aggregate import FaceHistory, Findings, Moment
from streamapp.pipeline.answers import Answer
from streamapp.pipeline.board import ResultBoard
from streamapp.pipeline.examiner import Asker, Examination
from streamapp.pipeline.merging import SeenFace
from streamapp.results import Analyses
from streamapp.scheduler.api import Priority
from streamapp.sinks.base import Inbox, Output

LIVENESS, GENDER, AGE_BAND, DEEPFAKE_BAND = "liveness", "gender", "age band", "deepfake band"
LABELS = (LIVENESS, GENDER, AGE_BAND, DEEPFAKE_BAND)
AGE_BAND_YEARS = 10


@dataclass(frozen=True, slots=True)
class Nearest:
    """Whom one crop is most like."""

    name: str
    level: float
    threshold: float
    """The level from which the app's rules would give the name."""


@dataclass(frozen=True, slots=True)
class Crop:
    """What one crop says. frame: from which on that is known."""

    track: int
    frame: int
    labels: Mapping[str, str]
    was_compared: bool
    nearest: Nearest | None
    """None if it is like nobody, or was not compared."""


def crop_alone(
    track: int,
    known_from: int,
    findings: Findings,
    found: SearchResult | None,
    at: Moment,
    name_of: NameOf,
    rules: VoteRules,
) -> Crop:
    """A history of one finding has the same borders as a longer one, no average and no hysteresis. found: what the
    gallery says to it; None if it was not asked."""
    history = FaceHistory()
    history.add(findings, at)
    nearest = None
    if found is not None and found.problem is None and found.matches:
        best = found.matches[0]
        nearest = Nearest(name_of(best.person_id) or "", best.score.level, rules.thresholds(found.people).accept)
    return Crop(track, known_from, labels_of(history.analyses(at.pts_s)), found is not None, nearest)


class CropLog(ResultBoard):
    """A board that also keeps what each of the app's crops alone says."""

    def __init__(self, rules: VoteRules, name_of: NameOf) -> None:
        super().__init__(rules, name_of)
        self.crops: list[Crop] = []
        self._rules = rules
        self._name_of = name_of

    def take_in(self, answer: Answer) -> None:
        for one in answer.found:
            found = None if one.look is None else one.look.result
            frame = answer.answered.frame
            self.crops.append(crop_alone(one.track_id, frame, one.findings, found, one.at, self._name_of, self._rules))
        super().take_in(answer)


class SteadyLook:
    """A sink that shows the models every face that is seen, every so many seconds, as an app without memory does."""

    lossless = True

    def __init__(self, models: Models, every_s: float) -> None:
        self.crops: list[Crop] = []
        self._models = models
        self._every_s = every_s
        self._due_s = 0.0
        self._reader = PixelReader()

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            if output.result.pts_s >= self._due_s - 1e-6:
                self._due_s = output.result.pts_s + self._every_s
                await self._look(output)

    async def _look(self, output: Output) -> None:
        result, examination = output.result, Examination()
        tracks = [track for track in result.tracks if track.state is TrackState.CONFIRMED]
        if not tracks:
            return
        rgb = await asyncio.to_thread(self._reader.rgb, output.frame)
        asker = Asker(CLIENT, Priority.IMAGE, time.monotonic() + DEADLINE_S, "baseline")
        examination.faces = [
            SeenFace(np.array(track.box, np.float32), track.score, None, None, track.detector, (track.detector,))
            for track in tracks
        ]
        pictures = [rgb] * len(tracks)
        await self._models.examiner.refine(pictures, asker, examination)
        await self._models.examiner.analyse(pictures, asker, examination)
        at = Moment(result.frame, result.pts_s, "baseline")
        for track, findings in zip(tracks, examination.findings, strict=True):
            taken = findings.identification
            found = None if taken is None else await self._models.search(taken.embeddings)
            self.crops.append(
                crop_alone(track.id, result.frame, findings, found, at, self._models.name_of, self._models.vote_rules)
            )


def labels_of(analyses: Analyses) -> dict[str, str]:
    """What is shown of a face, but for who it is."""
    labels: dict[str, str] = {}
    if (liveness := analyses.get("liveness")) is not None:
        labels[LIVENESS] = liveness.state
    if (known := analyses.get("gender_age")) is not None:
        labels[GENDER] = known.gender
        labels[AGE_BAND] = str(int(known.age_years // AGE_BAND_YEARS) * AGE_BAND_YEARS)
    if (deepfake := analyses.get("deepfake")) is not None:
        labels[DEEPFAKE_BAND] = deepfake.band
    return labels
