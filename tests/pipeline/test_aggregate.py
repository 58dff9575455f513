"""Averages that follow and states that do not flicker, whatever order the findings come in."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamapp.findings import DeepfakeScore, Embedding, Gender, GenderAge, Liveness
from streamapp.pipeline.aggregate import (
    BAND_MARGIN,
    GENDER_MARGIN,
    HIGH_ABOVE,
    LIVE_ABOVE,
    LOW_BELOW,
    MEMORY,
    SPOOF_BELOW,
    FaceHistory,
    Findings,
    Identification,
    Moment,
)
from streamapp.results import DeepfakeBand, IdentityReason, IdentityState, LivenessState

NAN = float("nan")


def live(score: float) -> Findings:
    return Findings(liveness=("net", Liveness(score, (("print", 1 - score),))))


def fake(score: float) -> Findings:
    return Findings(deepfake=("net", DeepfakeScore(score)))


def person(male: float, age_years: float = 30.0) -> Findings:
    return Findings(gender_age=("net", GenderAge(male, age_years)))


def identified(*names: str, missing: tuple[str, ...] = ()) -> Findings:
    embeddings = {name: Embedding.of(name, np.ones(4, np.float32)) for name in names}
    return Findings(identification=Identification(embeddings, missing))


def history(*findings: Findings) -> FaceHistory:
    made = FaceHistory()
    for frame, one in enumerate(findings):
        made.add(one, Moment(frame, frame / 30, "new_track"))
    return made


def state(of: FaceHistory) -> LivenessState:
    return of.analyses(0.0)["liveness"].state


def band(of: FaceHistory) -> DeepfakeBand:
    return of.analyses(0.0)["deepfake"].band


def test_nothing_is_said_of_a_face_nobody_was_asked_about() -> None:
    assert history().analyses(1.0) == {}
    assert history(Findings()).analyses(1.0) == {}
    assert set(history(live(0.9)).analyses(1.0)) == {"liveness"}


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.95, LivenessState.LIVE), (0.05, LivenessState.SPOOF), (0.6, LivenessState.UNDECIDED)],
)
def test_one_crop_is_enough_for_a_state(score: float, expected: LivenessState) -> None:
    of = history(live(score))
    assert state(of) is expected
    assert of.is_open, "one crop is not much"
    of.add(live(score), Moment(9, 0.3, "undecided"))
    assert of.is_open is (expected is LivenessState.UNDECIDED)
    analysis = of.analyses(0.0)["liveness"]
    assert (analysis.samples, analysis.score) == (2, score)
    assert analysis.confidence == pytest.approx(max(score, 1 - score))
    assert analysis.attacks == {"print": pytest.approx(1 - score)}


def test_a_decided_state_holds_until_the_average_crosses_the_middle() -> None:
    of = history(live(0.9), live(0.3))
    assert (of.analyses(0.0)["liveness"].score, state(of)) == (0.6, LivenessState.LIVE)
    of.add(live(0.1), Moment(2, 0.1, "new_track"))
    assert state(of) is LivenessState.UNDECIDED


def test_a_spoof_held_up_after_a_living_face_is_seen_within_the_memory() -> None:
    of = history(*[live(0.95)] * 30)
    for frame in range(30, 30 + 2 * MEMORY):
        of.add(live(0.02), Moment(frame, frame / 30, "new_track"))
    assert state(of) is LivenessState.SPOOF


noise = st.lists(st.floats(-0.04, 0.04), min_size=1, max_size=60)
centres = st.floats(0.05, 0.95)


@given(centres, noise)
@example(0.5, [0.01, -0.04, 0.04, 0.04])
def test_small_noise_changes_no_state_twice(centre: float, wobble: list[float]) -> None:
    of = FaceHistory()
    states, bands, genders = [], [], []
    for frame, shift in enumerate(wobble):
        score = centre + shift
        for findings in (live(score), fake(score), person(score)):
            of.add(findings, Moment(frame, frame / 30, "new_track"))
        states.append(state(of))
        bands.append(band(of))
        genders.append(of.analyses(0.0)["gender_age"].gender)
    for labels in (states, bands, genders):
        assert sum(before is not after for before, after in pairwise(labels)) <= 1


def test_the_margins_are_wider_than_what_one_of_many_crops_moves_the_average() -> None:
    assert min(LIVE_ABOVE - 0.5, 0.5 - SPOOF_BELOW, BAND_MARGIN, GENDER_MARGIN) >= 1 / MEMORY
    assert LOW_BELOW + BAND_MARGIN < HIGH_ABOVE - BAND_MARGIN


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.8], DeepfakeBand.HIGH),
        ([0.7], DeepfakeBand.MIDDLE),
        ([0.8, 0.6], DeepfakeBand.HIGH),
        ([0.8, 0.4], DeepfakeBand.MIDDLE),
        ([0.3], DeepfakeBand.LOW),
        ([0.3, 0.5], DeepfakeBand.LOW),
        ([0.3, 0.7], DeepfakeBand.MIDDLE),
    ],
)
def test_a_band_is_left_only_beyond_its_margin(scores: list[float], expected: DeepfakeBand) -> None:
    assert band(history(*map(fake, scores))) is expected


def test_gender_and_age_are_averaged() -> None:
    of = history(person(0.9, 30), person(0.7, 40)).analyses(0.0)["gender_age"]
    assert (of.gender, of.age_years, of.confidence, of.samples) == (Gender.MALE, 35.0, 0.8, 2)


def test_gender_changes_only_well_beyond_the_border() -> None:
    of = history(person(0.55), person(0.35))
    assert of.analyses(0.0)["gender_age"].gender is Gender.MALE
    assert of.analyses(0.0)["gender_age"].confidence == pytest.approx(0.45)
    of.add(person(0.0), Moment(2, 0.1, "new_track"))
    assert of.analyses(0.0)["gender_age"].gender is Gender.FEMALE


@pytest.mark.parametrize("broken", [NAN, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(broken: float) -> None:
    only = history(live(broken), fake(broken), person(broken, broken), person(0.8, broken), person(broken, 30))
    assert only.analyses(1.0) == {}
    assert not only.is_open
    mixed = history(live(broken), live(0.45), fake(broken), fake(0.4), person(broken), person(0.8), person(0.8, broken))
    known = mixed.analyses(1.0)
    assert (known["liveness"].state, known["liveness"].samples) == (LivenessState.UNDECIDED, 1)
    assert (known["deepfake"].band, known["deepfake"].score) == (DeepfakeBand.MIDDLE, 0.4)
    assert (known["gender_age"].age_years, known["gender_age"].samples) == (30.0, 1)
    assert mixed.is_open


scores = st.lists(st.floats(0, 1), min_size=1, max_size=MEMORY)


@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter_for_averages_and_freshness(given_scores: list[float], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis gives a Random
    numbered = list(enumerate(given_scores))
    shuffled = sorted(numbered, key=lambda _: random.random())
    sorted_history, shuffled_history = FaceHistory(), FaceHistory()
    for of, order in ((sorted_history, numbered), (shuffled_history, shuffled)):
        for frame, score in order:
            model = f"net-{frame}"
            of.add(
                Findings(liveness=(model, Liveness(score, ())), gender_age=(model, GenderAge(score, score))),
                Moment(frame, frame / 30, "interval"),
            )
    one, other = sorted_history.analyses(5.0), shuffled_history.analyses(5.0)
    for kind in ("liveness", "gender_age"):
        for what in ("model", "frame", "age_s", "samples"):
            assert getattr(one[kind], what) == getattr(other[kind], what)
    assert one["liveness"].score == pytest.approx(other["liveness"].score, abs=0.0011)
    assert one["gender_age"].age_years == pytest.approx(other["gender_age"].age_years, abs=0.11)


def test_age_is_that_of_the_newest_crop_and_never_negative() -> None:
    of = FaceHistory()
    of.add(live(0.9), Moment(60, 2.0, "new_track"))
    of.add(live(0.9), Moment(30, 1.0, "new_track"))
    analysis = of.analyses(2.5)["liveness"]
    assert (analysis.frame, analysis.age_s, analysis.samples) == (60, 0.5, 2)
    assert of.analyses(1.5)["liveness"].age_s == 0.0


def test_without_a_gallery_a_face_stays_undecided_and_absent_members_are_named() -> None:
    of = history(identified("b", "a", missing=("c",)))
    analysis = of.analyses(0.0)["identity"]
    assert (analysis.model, analysis.name, analysis.missing) == ("a + b", None, ("c",))
    assert (analysis.state, analysis.because) == (IdentityState.UNDECIDED, IdentityReason.NO_GALLERY)
    assert (analysis.confidence, analysis.similarity, analysis.margin) == (None, None, None)


def test_an_older_answer_never_overwrites_a_newer() -> None:
    of = FaceHistory()
    of.add(identified("a", "b"), Moment(10, 1.0, "new_track"))
    of.add(identified("a", missing=("b",)), Moment(5, 0.5, "new_track"))
    analysis = of.analyses(1.0)["identity"]
    assert (analysis.frame, analysis.model, analysis.missing, analysis.samples) == (10, "a + b", (), 2)
