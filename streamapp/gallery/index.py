"""The gallery in memory: exact search by calibrated and fused scores.

One owner changes it; any thread searches. A search sees the gallery as it was at one version, never half a change: rows
are only appended, a changed person gets a new one, and what is searched is replaced as a whole. The rows of the erased
are zeroed at once, also for searches that are under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.gallery.fusion import Fusion, Member
from streamapp.gallery.people import Template, is_sound
from streamapp.gallery.rows import VectorRows
from streamapp.gallery.search import SearchProblem, SearchResult, problem_of, ranked

_SEARCH_THREADS = 2
"""Models are searched side by side, so many at once."""
_ROUNDING = 1e-3
"""Levels in float32 are closer to the truth than this."""
_COMPACT_ABOVE = 256
"""Fewer unused rows than this are left where they are."""


@dataclass(frozen=True, slots=True)
class _View:
    """One version of the gallery: the first `count` rows, those of them in use, and whose they are."""

    version: int
    people: int
    ids: list[UUID]
    models: Mapping[str, VectorRows]
    expires_at: NDArray[np.float64]
    """[count]; minus infinity for rows not in use."""
    rejected: Mapping[UUID, tuple[Mapping[str, Embedding], ...]]

    @property
    def count(self) -> int:
        return len(self.expires_at)


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of the ensemble in one search."""

    member: Member
    rows: VectorRows
    vector: Floats

    def estimates(self, count: int) -> tuple[Floats, float]:
        """Levels of the first `count` rows, float32 [count], and how far they may be off."""
        cosines, off = self.rows.estimates(self.vector, count)
        return self.member.calibration.levels_of(cosines), off * self.member.calibration.steepest


class GalleryIndex:
    """`version` is the store's, which every change brings along."""

    def __init__(self, fusion: Fusion, templates: Iterable[Template] = (), version: int = 0) -> None:
        self._fusion = fusion
        self._pool = ThreadPoolExecutor(_SEARCH_THREADS, thread_name_prefix="gallery-search")
        self._rows: dict[UUID, int] = {}
        self._view = self._built({t.person_id: t for t in templates}.values(), version)

    @property
    def version(self) -> int:
        return self._view.version

    @property
    def people(self) -> int:
        return self._view.people

    # -- by the owner

    def put(self, template: Template, version: int) -> None:
        """A new person, or one who changed."""
        view, old = self._view, self._rows.get(template.person_id)
        models, vectors = dict(view.models), self._vectors(template)
        for model, vector in vectors.items():
            if model not in models:
                models[model] = VectorRows(len(vector), view.count)
        for model, rows in models.items():
            rows.append(vectors.get(model))
        expires_at = np.append(view.expires_at, template.expires_at)
        if old is not None:
            expires_at[old] = -np.inf
            self._replaced.setdefault(template.person_id, []).append(old)
        rejected = {p: faces for p, faces in view.rejected.items() if p != template.person_id}
        if template.rejected:
            rejected[template.person_id] = template.rejected
        view.ids.append(template.person_id)
        self._rows[template.person_id] = view.count
        people = view.people + (old is None)
        self._view = _View(version, people, view.ids, models, expires_at, rejected)
        self._compact()

    def remove(self, person_id: UUID, version: int) -> None:
        """Nothing of the person stays in memory. Somebody who is not there is no fault."""
        view, row = self._view, self._rows.pop(person_id, None)
        if row is None:
            self._view = replace(view, version=version)
            return
        expires_at = view.expires_at.copy()
        expires_at[row] = -np.inf
        rejected = {p: faces for p, faces in view.rejected.items() if p != person_id}
        self._view = replace(view, version=version, people=view.people - 1, expires_at=expires_at, rejected=rejected)
        for rows in view.models.values():
            for unused in (row, *self._replaced.get(person_id, ())):
                rows.wipe(unused)
        self._replaced.pop(person_id, None)
        self._compact()

    # -- by anybody

    def search(self, probe: Mapping[str, Embedding], count: int, now: float) -> SearchResult:
        """The `count` people most like a face, by its embeddings under the names of the models; of those whose consent
        holds `now` (Unix time in seconds)."""
        view, fusion = self._view, self._fusion
        problem = problem_of(probe, fusion)
        if problem is not None:
            return SearchResult((), view.people, view.version, problem=problem)
        parts = [
            _Part(member, view.models[member.model], probe[member.model].vector)
            for member in fusion.members
            if member.model in probe and member.model in view.models
            and view.models[member.model].dimensions == len(probe[member.model].vector)
        ]  # fmt: skip
        if not parts:
            nobody = SearchProblem.NO_SHARED_MODEL if view.people else None
            return SearchResult((), view.people, view.version, problem=nobody)
        estimates = list(self._pool.map(_Part.estimates, parts, [view.count] * len(parts)))
        present = [part.rows.present(view.count) for part in parts]
        levels = _fused(parts, [levels for levels, _ in estimates], present)
        levels[view.expires_at <= now] = -np.inf
        wanted = count + len(view.rejected)
        rows = _best(levels, wanted, max(error for _, error in estimates) + _ROUNDING)
        cosines = [part.rows.cosines(part.vector, rows) for part in parts]
        present = [flags[rows] for flags in present]
        exact = [part.member.calibration.levels_of(found) for part, found in zip(parts, cosines, strict=True)]
        candidates = (
            (
                view.ids[rows[i]],
                {part.member.model: float(cosines[p][i]) for p, part in enumerate(parts) if present[p][i]},
            )
            for i in _best(_fused(parts, exact, present), wanted, _ROUNDING)
        )
        matches, vetoed = ranked(probe, candidates, view.rejected, fusion, count)
        return SearchResult(matches, view.people, view.version, vetoed)

    def _vectors(self, template: Template) -> dict[str, Floats]:
        """What can be compared: of models of the ensemble, usable."""
        wanted = {member.model for member in self._fusion.members}
        return {m: e.vector for m, e in template.embeddings.items() if m in wanted and is_sound(e)}

    def _built(self, templates: Iterable[Template], version: int) -> _View:
        everybody = list(templates)
        models: dict[str, VectorRows] = {}
        for row, template in enumerate(everybody):
            for model, vector in self._vectors(template).items():
                if model not in models:
                    models[model] = VectorRows(len(vector), len(everybody))
                models[model].fill(row, vector)
        ids = [template.person_id for template in everybody]
        self._rows = {person_id: row for row, person_id in enumerate(ids)}
        self._replaced: dict[UUID, list[int]] = {}
        expires_at = np.array([template.expires_at for template in everybody], np.float64)
        rejected = {t.person_id: t.rejected for t in everybody if t.rejected}
        return _View(version, len(ids), ids, models, expires_at, rejected)

    def _compact(self) -> None:
        """Leaves unused rows behind once there are more of them than others."""
        view = self._view
        if view.count - view.people <= max(_COMPACT_ABOVE, view.people):
            return
        kept = np.flatnonzero(view.expires_at > -np.inf)
        ids = [view.ids[row] for row in kept]
        models = {model: rows.of(kept) for model, rows in view.models.items()}
        self._rows = {person_id: row for row, person_id in enumerate(ids)}
        self._replaced = {}
        self._view = replace(view, ids=ids, models=models, expires_at=view.expires_at[kept])


def _fused(parts: Sequence[_Part], levels: Sequence[Floats], present: Sequence[Floats]) -> Floats:
    """Fused levels, float32 like each of the levels; `present` is 1 where there is one, else 0."""
    total, weights = np.zeros_like(levels[0]), np.zeros_like(levels[0])
    for part, of_part, flags in zip(parts, levels, present, strict=True):
        shares = np.float32(part.member.weight) * flags
        total += shares * of_part
        weights += shares
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weights > 0, total / weights, np.float32(-np.inf))


def _best(levels: Floats, count: int, error: float) -> NDArray[np.intp]:
    """Rows that can be among the `count` best, if every level is off by `error` at most."""
    usable = np.flatnonzero(levels > -np.inf)
    if len(usable) <= count:
        return usable
    worst = np.partition(levels, len(levels) - count)[len(levels) - count]
    return np.flatnonzero(levels >= worst - 2 * error)
