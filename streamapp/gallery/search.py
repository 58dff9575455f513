"""What a search through the gallery answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from streamapp.findings import NO_MATCH, Embedding
from streamapp.gallery.fusion import FusedScore, Fusion
from streamapp.gallery.people import is_sound


class SearchProblem(StrEnum):
    """Why a face could not be searched for. It then matches nobody."""

    UNUSABLE = "unusable_embedding"
    """One of its embeddings is zero or not a number."""
    NO_SHARED_MODEL = "no_shared_model"
    """Nobody has an embedding of a model that this face has one of."""


@dataclass(frozen=True, slots=True)
class Match:
    person_id: UUID
    score: FusedScore


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The people most like a face, best first; how alike is not judged here."""

    matches: tuple[Match, ...]
    people: int
    """How many were searched."""
    version: int
    """Of the gallery."""
    vetoed: tuple[UUID, ...] = ()
    """Left out as this face is as much like one of which was said that it is not them."""
    problem: SearchProblem | None = None


def problem_of(probe: Mapping[str, Embedding], fusion: Fusion) -> SearchProblem | None:
    taking_part = [probe[member.model] for member in fusion.members if member.model in probe]
    if not taking_part:
        return SearchProblem.NO_SHARED_MODEL
    return None if all(map(is_sound, taking_part)) else SearchProblem.UNUSABLE


def ranked(
    probe: Mapping[str, Embedding],
    cosines: Iterable[tuple[UUID, Mapping[str, float]]],
    rejected: Mapping[UUID, tuple[Mapping[str, Embedding], ...]],
    fusion: Fusion,
    count: int,
) -> tuple[tuple[Match, ...], tuple[UUID, ...]]:
    """The `count` best of the candidates, and those better than the last of them who are vetoed."""
    scored = sorted(
        (Match(person_id, fusion.fuse(of_person)) for person_id, of_person in cosines),
        key=lambda match: (-match.score.level, match.person_id),
    )
    matches: list[Match] = []
    vetoed: list[UUID] = []
    for match in scored:
        if len(matches) == count or match.score.level == NO_MATCH:
            break
        faces = rejected.get(match.person_id, ())
        if any(fusion.compare(probe, face).level >= match.score.level for face in faces):
            vetoed.append(match.person_id)
        else:
            matches.append(match)
    return tuple(matches), tuple(vetoed)
