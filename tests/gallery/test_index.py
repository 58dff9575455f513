"""The index finds what comparing with everybody finds, and follows every change whole."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import numpy as np
import pytest

from streamapp.findings import Embedding
from streamapp.gallery.fusion import Fusion
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.people import Template
from streamapp.gallery.search import SearchProblem, SearchResult
from tests.gallery.enrolments import DIMENSIONS, FUSION, NOW, face

LATER = NOW + 1000


def template(seed: int, *, models: tuple[str, ...] = ("one", "two"), until: float = LATER) -> Template:
    return Template(UUID(int=seed), until, pick(face(seed), models))


def pick(looks: Mapping[str, Embedding], models: Sequence[str]) -> dict[str, Embedding]:
    return {model: looks[model] for model in models}


def found(result: SearchResult) -> list[UUID]:
    return [match.person_id for match in result.matches]


def by_comparing(probe: Mapping[str, Embedding], templates: Sequence[Template], count: int) -> list[tuple[UUID, float]]:
    scores = [(t.person_id, FUSION.compare(probe, t.embeddings).level) for t in templates]
    return sorted(scores, key=lambda score: -score[1])[:count]


@pytest.mark.parametrize("people", [1, 4, 2500])
def test_search_is_exact(people: int) -> None:
    shapes = [("one", "two"), ("one",), ("two",), ("one", "two")]
    templates = [template(seed, models=shapes[seed % 4]) for seed in range(people)]
    index = GalleryIndex(FUSION, templates, 1)
    for probe in (face(0, noise=0.5), face(people // 2, noise=1.0), face(10**6), pick(face(3, noise=1), ["two"])):
        result = index.search(probe, 5, NOW)
        wanted = by_comparing(probe, templates, 5)
        wanted = [score for score in wanted if score[1] > float("-inf")]
        assert found(result) == [person for person, _ in wanted]
        levels = [match.score.level for match in result.matches]
        np.testing.assert_allclose(levels, [level for _, level in wanted], atol=1e-3)
        assert (result.people, result.version, result.problem) == (people, 1, None)


def test_a_match_explains_itself_by_model() -> None:
    index = GalleryIndex(FUSION, [template(1), template(2, models=("one",))])
    match = index.search(face(1), 1, NOW).matches[0]
    assert [(score.model, round(score.cosine, 4)) for score in match.score.scores] == [("one", 1), ("two", 1)]
    assert index.search(face(2), 1, NOW).matches[0].score.missing == ("two",)


@pytest.mark.parametrize("number", [0.0, float("nan"), float("inf")])
def test_broken_embeddings_match_nobody(number: float) -> None:
    index = GalleryIndex(FUSION, [template(1)])
    broken = Embedding("one", np.full(DIMENSIONS, number, np.float32), 1.0)
    assert index.search({"one": broken}, 5, NOW).problem is SearchProblem.UNUSABLE
    assert index.search({**face(1), "one": Embedding.of("one", broken.vector)}, 5, NOW).matches == ()
    spoilt = GalleryIndex(FUSION, [Template(uuid4(), LATER, {"one": broken}), template(1)])
    assert found(spoilt.search(face(7), 5, NOW)) == [UUID(int=1)]


def test_models_outside_the_ensemble_or_of_another_length_are_not_compared() -> None:
    index = GalleryIndex(FUSION, [template(1)])
    other = Embedding.of("other", np.ones(4, np.float32))
    short = Embedding.of("one", np.ones(4, np.float32))
    assert index.search({"other": other}, 5, NOW).problem is SearchProblem.NO_SHARED_MODEL
    assert index.search({"one": short}, 5, NOW).problem is SearchProblem.NO_SHARED_MODEL
    assert index.search({}, 5, NOW).problem is SearchProblem.NO_SHARED_MODEL


def test_nobody_is_found_in_an_empty_gallery() -> None:
    result = GalleryIndex(FUSION).search(face(1), 5, NOW)
    assert (result.matches, result.people, result.problem) == ((), 0, None)


def test_whose_consent_has_run_out_matches_nobody_from_that_second_on() -> None:
    index = GalleryIndex(FUSION, [template(1, until=NOW + 10), template(2)])
    assert found(index.search(face(1), 1, NOW + 9.9)) == [UUID(int=1)]
    assert found(index.search(face(1), 1, NOW + 10)) == [UUID(int=2)]


def test_changes_are_followed() -> None:
    index = GalleryIndex(FUSION)
    for seed in range(600):
        index.put(template(seed, models=("one",) if seed % 2 else ("one", "two")), seed + 1)
    assert (index.people, index.version) == (600, 600)
    assert found(index.search(face(77), 1, NOW)) == [UUID(int=77)]
    index.put(Template(UUID(int=77), LATER, face(1077)), 601)
    assert found(index.search(face(1077), 1, NOW)) == [UUID(int=77)]
    assert index.search(face(77), 1, NOW).matches[0].score.level < 3
    assert index.people == 600
    index.remove(UUID(int=77), 602)
    index.remove(UUID(int=77), 603)
    assert (index.people, index.version) == (599, 603)
    assert UUID(int=77) not in found(index.search(face(1077), 600, NOW))


def test_many_changes_leave_an_index_like_a_new_one() -> None:
    index = GalleryIndex(FUSION)
    draw = np.random.default_rng(3)
    kept: dict[int, Template] = {}
    for step in range(3000):
        seed = int(draw.integers(200))
        if draw.random() < 0.6:
            kept[seed] = template(seed, models=(("one", "two"), ("one",))[step % 2])
            index.put(kept[seed], step)
        else:
            kept.pop(seed, None)
            index.remove(UUID(int=seed), step)
    fresh = GalleryIndex(FUSION, kept.values())
    assert index.people == len(kept)
    for seed in range(0, 200, 9):
        probe = face(seed, noise=0.5)
        ours, theirs = index.search(probe, 10, NOW), fresh.search(probe, 10, NOW)
        assert found(ours) == found(theirs)
    assert index._view.models["one"].count - index.people <= max(256, index.people)


def test_a_gallery_emptied_again_is_as_an_empty_one() -> None:
    index = GalleryIndex(FUSION, [template(seed) for seed in range(600)])
    for seed in range(600):
        index.remove(UUID(int=seed), seed)
    result = index.search(face(3), 5, NOW)
    assert (index.people, result.matches, result.problem) == (0, (), None)
    index.put(template(3), 700)
    assert found(index.search(face(3), 5, NOW)) == [UUID(int=3)]


def test_the_erased_are_not_in_memory_any_more() -> None:
    index = GalleryIndex(FUSION, [template(seed) for seed in range(10)])
    index.put(Template(UUID(int=4), LATER, face(400), ({"one": face(9)["one"]},)), 1)
    index.remove(UUID(int=4), 2)
    for model, rows in index._view.models.items():
        for seed in (4, 400):
            vector = face(seed)[model].vector
            small = np.round(vector / np.float32(np.abs(vector).max() / 127)).astype(np.int8)
            assert vector.tobytes() not in rows._exact.tobytes()
            assert small.tobytes() not in rows._small.tobytes()
        assert face(5)[model].vector.tobytes() in rows._exact.tobytes()
    assert index._view.rejected == {}


def test_a_face_said_not_to_be_somebody_is_not_found_as_them_again() -> None:
    twin = {model: Embedding.of(model, e.vector + 0.3 * face(50)[model].vector) for model, e in face(1).items()}
    index = GalleryIndex(FUSION, [template(1), template(2), template(3)])
    assert found(index.search(twin, 1, NOW)) == [UUID(int=1)]
    index.put(Template(UUID(int=1), LATER, face(1), (twin,)), 2)
    result = index.search(twin, 2, NOW)
    assert UUID(int=1) not in found(result)
    assert len(result.matches) == 2
    assert result.vetoed == (UUID(int=1),)
    assert found(index.search(face(1, noise=0.1), 1, NOW)) == [UUID(int=1)]


def test_a_search_under_way_never_sees_half_a_change() -> None:
    """One person moves between two faces again and again: every search finds them as exactly one of these."""
    mover = UUID(int=999)
    index = GalleryIndex(Fusion(FUSION.members[:1]), [template(seed) for seed in range(300)], 0)
    index.put(Template(mover, LATER, face(5000)), 1)
    done = threading.Event()
    wrong: list[str] = []

    def search() -> None:
        while not done.is_set():
            ids = [found(index.search(face(seed), 301, NOW)) for seed in (5000, 6000)]
            wrong.extend("missing or twice" for result in ids if result.count(mover) != 1)
            wrong.extend("wrong number" for result in ids if len(result) != 301)

    thread = threading.Thread(target=search)
    thread.start()
    for version in range(2, 600):
        index.put(Template(mover, LATER, face(5000 if version % 2 else 6000)), version)
    done.set()
    thread.join()
    assert wrong == []
