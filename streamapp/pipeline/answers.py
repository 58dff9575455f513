"""What comes of a keyframe: taken in by the frame path as a whole, between two frames."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from streamapp.faces import Detections, Floats
from streamapp.frame import Box
from streamapp.pipeline.aggregate import Findings, Moment
from streamapp.pipeline.identities import Look
from streamapp.results import Answered


@dataclass(frozen=True, slots=True)
class Found:
    """What the models said of one track."""

    track_id: int
    findings: Findings
    skipped: Mapping[str, str]
    at: Moment
    look: Look | None


@dataclass(frozen=True, slots=True)
class Refined:
    """The landmarks of a track, in the pixels of its box."""

    track_id: int
    box: Box
    landmarks: Floats
    at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of one step of a keyframe. Of the sets of tracks, those in the second are now in doubt, those in the
    first no more; None: the step does not tell."""

    answered: Answered
    refined: tuple[Refined, ...]
    found: tuple[Found, ...] = ()
    answers: tuple[Set[int], Set[int]] | None = None
    sightings: tuple[Detections, ...] = ()
    dispute: tuple[Set[int], Set[int]] | None = None
