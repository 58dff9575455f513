"""Who is in a picture, and whether two pictures show the same person. One look at each: nothing is voted over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from streamapp.assets import asset
from streamapp.enrolment.appraisal import Appraisal
from streamapp.gallery.fusion import FusedScore
from streamapp.gallery.gate import FaceView
from streamapp.gallery.identity_rules import Thresholds
from streamapp.identification import CANDIDATES, fusion_of
from streamapp.models import CALIBRATIONS, Models
from streamapp.pipeline.identities import Identities, Identity, Look


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face and who it is."""

    appraisal: Appraisal
    identity: Identity


@dataclass(frozen=True, slots=True)
class NamedFaces:
    """people: how many it was compared with; thresholds: of levels, for that many."""

    faces: tuple[NamedFace, ...]
    people: int
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Verification:
    """threshold: the level from which two faces are taken for the same person's."""

    is_same: bool
    score: FusedScore
    threshold: float


async def identified(models: Models, pictures: Sequence[Appraisal], now: float) -> NamedFaces:
    """Who the faces of one picture are; each person at most once. Errors are those of the gallery, and what keeps it
    from being used."""
    gallery, rules = models.identification.gallery, models.vote_rules.for_one_look
    identities = Identities(rules, gallery.name)
    for place, appraisal in enumerate(pictures):
        view = appraisal.good
        found = await gallery.search(view.embeddings if view else {}, CANDIDATES, now)
        identities.add(place, Look(frame=0, at_s=0.0, quality=view.quality if view else 0.0, result=found))
    identities.decide({place: one.view.liveness if one.view else None for place, one in enumerate(pictures)})
    named = ((appraisal, identities.of(place)) for place, appraisal in enumerate(pictures))
    faces = tuple(NamedFace(appraisal, identity) for appraisal, identity in named if identity is not None)
    return NamedFaces(faces, gallery.count, rules.thresholds(gallery.count))


async def verified(models: Models, first: FaceView, second: FaceView) -> Verification:
    """Whether two faces are the same person's, at the false match rate of the rules. Needs no gallery. Raises
    ModelMissing if no recogniser is calibrated."""
    fusion = await asyncio.to_thread(fusion_of, models.lineup, asset(CALIBRATIONS))
    score = fusion.compare(first.embeddings, second.embeddings)
    threshold = models.vote_rules.thresholds(1).accept
    return Verification(score.level >= threshold, score, threshold)
