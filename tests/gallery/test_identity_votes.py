"""Who a face is, over many looks: sure before it names, slow to change, and never two faces one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from streamapp.gallery.fusion import FusedScore, MemberScore
from streamapp.gallery.identity_rules import IdentityDecision, Skip, VoteRules
from streamapp.gallery.identity_votes import IdentityVotes, decide
from streamapp.gallery.search import Match, SearchProblem, SearchResult
from streamapp.results import IdentityReason, IdentityState, LivenessState

ADA, GRACE, ALAN = UUID(int=1), UUID(int=2), UUID(int=3)
PEOPLE = 100
RULES = VoteRules(false_match_rate=0.01, max_attempts=8)
ACCEPT = RULES.thresholds(PEOPLE).accept
SURE, FAIR, LOW = ACCEPT + 2, ACCEPT - 0.3, ACCEPT - 3


def search(*levels: tuple[UUID, float], vetoed: tuple[UUID, ...] = ()) -> SearchResult:
    matches = tuple(
        Match(person, FusedScore(level, (MemberScore("m", level / 10, level, 1.0),), ())) for person, level in levels
    )
    return SearchResult(matches, PEOPLE, 1, vetoed)


ADA_SURE = search((ADA, SURE), (GRACE, LOW))
NOBODY = search((ADA, LOW), (GRACE, LOW - 0.1))


def looked(*results: SearchResult, quality: float = 0.8, rules: VoteRules = RULES) -> IdentityVotes:
    votes = IdentityVotes(rules)
    for frame, result in enumerate(results):
        votes.add(frame, frame / 10, quality, result)
    return votes


def alone(votes: IdentityVotes) -> IdentityDecision:
    return decide({1: votes})[1]


def test_one_look_is_enough_only_where_it_is_far_above_the_threshold() -> None:
    fair = search((ADA, ACCEPT + 0.9), (GRACE, LOW))
    votes = looked(fair)
    decision = alone(votes)
    assert (decision.state, decision.reason) == (IdentityState.UNDECIDED, IdentityReason.TOO_FEW_VOTES)
    assert decision.person_id is None
    votes.add(1, 0.1, 0.8, fair)
    assert alone(votes).person_id == ADA
    decision = alone(looked(search((ADA, ACCEPT + 1.0), (GRACE, LOW))))
    assert (decision.state, decision.reason, decision.person_id) == (
        IdentityState.IDENTIFIED,
        IdentityReason.ALIKE,
        ADA,
    )


def test_one_look_that_two_people_are_alike_in_is_not_enough() -> None:
    assert alone(looked(search((ADA, SURE), (GRACE, SURE - 0.2)))).reason is IdentityReason.TOO_FEW_VOTES
    assert alone(looked(ADA_SURE, quality=0.1)).reason is IdentityReason.TOO_FEW_VOTES


def test_poor_pictures_take_more_looks() -> None:
    results = [search((ADA, ACCEPT + 0.5), (GRACE, LOW))] * 4
    assert alone(looked(*results[:3], quality=0.3)).reason is IdentityReason.TOO_FEW_VOTES
    assert alone(looked(*results, quality=0.3)).state is IdentityState.IDENTIFIED


def test_a_face_that_becomes_another_is_named_anew_by_its_own_looks() -> None:
    votes = looked(*[ADA_SURE] * 6)
    assert alone(votes).person_id == ADA
    assert not votes.wants_look
    votes.add(6, 0.6, 0.8, NOBODY)
    assert alone(votes).person_id == ADA, "one look may be a bad one"
    assert votes.wants_look
    votes.add(7, 0.7, 0.8, NOBODY)
    decision = alone(votes)
    assert (decision.state, decision.reason) == (IdentityState.UNKNOWN, IdentityReason.NOBODY_ALIKE)
    assert [vote.frame for vote in decision.votes] == [6, 7]


def test_a_look_that_is_like_the_person_again_ends_the_doubt() -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    for frame, result in enumerate((NOBODY, ADA_SURE, NOBODY, ADA_SURE), 2):
        alone(votes)
        votes.add(frame, frame / 10, 0.8, result)
    decision = alone(votes)
    assert (decision.person_id, len(decision.votes)) == (ADA, 6)
    assert not votes.wants_look


def test_a_face_that_starts_over_keeps_only_whom_it_is_not() -> None:
    votes = looked(*[ADA_SURE] * 8)
    votes.reject(GRACE)
    assert alone(votes).person_id == ADA
    votes.start_over()
    decision = alone(votes)
    assert (decision.reason, decision.attempts, decision.votes) == (IdentityReason.TOO_FEW_VOTES, 0, ())
    assert decision.rejected == (GRACE,)
    assert votes.wants_look


def test_pictures_too_poor_to_count_raise_no_doubt() -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    alone(votes)
    for frame in (2, 3):
        votes.add(frame, frame / 10, 0.1, NOBODY)
    assert alone(votes).person_id == ADA


def test_unknown_and_undecided_are_not_the_same() -> None:
    unknown, undecided = alone(looked(NOBODY, NOBODY)), alone(looked(search((ADA, FAIR)), search((ADA, FAIR))))
    assert (unknown.state, unknown.reason) == (IdentityState.UNKNOWN, IdentityReason.NOBODY_ALIKE)
    assert (undecided.state, undecided.reason) == (IdentityState.UNDECIDED, IdentityReason.NOT_ALIKE_ENOUGH)
    assert unknown.person_id is None
    assert undecided.person_id is None


def test_in_an_empty_gallery_everybody_is_unknown() -> None:
    decision = alone(looked(*[SearchResult((), 0, 1)] * 2))
    assert (decision.state, decision.level, decision.margin) == (IdentityState.UNKNOWN, None, None)


def test_a_close_runner_up_keeps_a_name_from_being_given() -> None:
    twins = search((ADA, SURE), (GRACE, SURE - 0.2))
    decision = alone(looked(twins, twins))
    assert (decision.state, decision.reason) == (IdentityState.UNDECIDED, IdentityReason.TOO_CLOSE)
    assert decision.margin == pytest.approx(0.2)


def test_good_pictures_outweigh_poor_ones() -> None:
    votes = IdentityVotes(RULES)
    for frame, (quality, result) in enumerate([(1.0, ADA_SURE), (0.25, search((GRACE, SURE), (ADA, LOW)))] * 3):
        votes.add(frame, frame / 10, quality, result)
    decision = alone(votes)
    assert decision.standings[0].person_id == ADA
    assert decision.standings[0].level == pytest.approx((SURE * 1.0 + LOW * 0.25) / 1.25)


def test_whom_a_look_does_not_list_counts_as_its_last_place() -> None:
    decision = alone(looked(search((ADA, SURE), (GRACE, 1.0)), search((GRACE, 2.0), (ALAN, 1.5))))
    ada = next(standing for standing in decision.standings if standing.person_id == ADA)
    assert ada.votes == 1
    assert ada.level == pytest.approx((SURE + 1.5) / 2)


def test_a_name_is_held_through_weaker_looks_and_lost_after_bad_ones() -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    alone(votes)
    frame = 2
    while (standing := alone(votes).level or 0) >= ACCEPT:
        votes.add(frame, frame / 10, 0.8, search((ADA, ACCEPT - 0.9), (GRACE, LOW)))
        frame += 1
        assert frame < 30
    decision = alone(votes)
    assert standing < ACCEPT
    assert (decision.state, decision.reason, decision.person_id) == (
        IdentityState.IDENTIFIED,
        IdentityReason.HELD,
        ADA,
    )
    fresh = looked(*[search((ADA, standing), (GRACE, LOW))] * 3)
    assert alone(fresh).state is IdentityState.UNDECIDED
    for frame in range(30, 40):
        votes.add(frame, frame / 10, 0.8, NOBODY)
    assert alone(votes).state is IdentityState.UNKNOWN


def test_an_unknown_face_does_not_flicker_to_undecided() -> None:
    votes = looked(NOBODY, NOBODY)
    assert alone(votes).state is IdentityState.UNKNOWN
    for frame in range(2, 12):
        votes.add(frame, frame / 10, 0.8, search((ADA, FAIR), (GRACE, LOW)))
        assert alone(votes).state is IdentityState.UNKNOWN
    for frame in range(12, 22):
        votes.add(frame, frame / 10, 0.8, ADA_SURE)
    assert alone(votes).person_id == ADA


def test_after_enough_looks_the_undecided_are_unknown_and_left_alone() -> None:
    votes = IdentityVotes(RULES)
    for frame in range(RULES.max_attempts):
        assert votes.wants_look
        votes.add(frame, frame / 10, 0.8, search((ADA, FAIR), (GRACE, LOW)))
        alone(votes)
    decision = alone(votes)
    assert (decision.state, decision.reason) == (IdentityState.UNKNOWN, IdentityReason.ATTEMPTS_USED_UP)
    assert decision.attempts == RULES.max_attempts
    assert not votes.wants_look


def test_looks_that_see_nothing_are_used_up_too() -> None:
    votes = looked(*[NOBODY] * RULES.max_attempts, quality=0.01)
    decision = alone(votes)
    assert (decision.state, decision.reason) == (IdentityState.UNKNOWN, IdentityReason.ATTEMPTS_USED_UP)
    assert {skip.reason for skip in decision.skipped} == {Skip.LOW_QUALITY}


@pytest.mark.parametrize("problem", list(SearchProblem))
def test_a_broken_look_is_no_vote_but_is_told(problem: SearchProblem) -> None:
    broken = SearchResult((), PEOPLE, 1, problem=problem)
    decision = alone(looked(ADA_SURE, broken, ADA_SURE))
    assert decision.person_id == ADA
    assert [(skip.frame, skip.reason) for skip in decision.skipped] == [(1, Skip(problem))]
    assert len(decision.votes) == 2


def test_a_quality_that_is_not_a_number_is_no_vote() -> None:
    assert alone(looked(ADA_SURE, ADA_SURE, quality=float("nan"))).votes == ()


def test_a_person_is_one_face_of_a_picture_at_most() -> None:
    better = search((ADA, SURE + 1), (GRACE, LOW))
    tracks = {7: looked(ADA_SURE, ADA_SURE), 3: looked(better, better)}
    decisions = decide(tracks)
    assert decisions[3].person_id == ADA
    assert (decisions[7].state, decisions[7].reason) == (IdentityState.UNDECIDED, IdentityReason.CONTESTED)
    assert decisions[7].person_id is None


def test_who_has_a_name_keeps_it_against_a_slightly_better_claim() -> None:
    first = looked(ADA_SURE, ADA_SURE)
    alone(first)
    slightly, clearly = search((ADA, SURE + 0.3), (GRACE, LOW)), search((ADA, SURE + 1), (GRACE, LOW))
    assert decide({1: first, 2: looked(slightly, slightly)})[1].person_id == ADA
    decisions = decide({1: first, 2: looked(clearly, clearly)})
    assert (decisions[1].person_id, decisions[2].person_id) == (None, ADA)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_of_equal_claims_the_older_track_wins_whatever_the_order(order: Sequence[int]) -> None:
    decisions = decide({track: looked(ADA_SURE, ADA_SURE) for track in order})
    assert [track for track, decision in decisions.items() if decision.person_id] == [1]


def test_this_is_not_x_is_obeyed_at_once_and_for_good() -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    assert alone(votes).person_id == ADA
    votes.reject(ADA)
    decision = alone(votes)
    assert decision.person_id is None
    assert decision.rejected == (ADA,)
    assert ADA not in {standing.person_id for standing in decision.standings}
    for frame in range(2, 30):
        votes.add(frame, frame / 10, 0.8, ADA_SURE)
        assert alone(votes).state is IdentityState.UNKNOWN


def test_a_look_vetoed_by_a_known_stranger_speaks_against_the_person() -> None:
    decision = alone(looked(ADA_SURE, *[search((GRACE, LOW), vetoed=(ADA,))] * 3))
    ada = next(standing for standing in decision.standings if standing.person_id == ADA)
    assert ada.level == pytest.approx(SURE / 4)
    assert decision.person_id is None


@pytest.mark.parametrize(
    ("liveness", "state", "reason"),
    [
        (None, IdentityState.IDENTIFIED, IdentityReason.ALIKE),
        (LivenessState.LIVE, IdentityState.IDENTIFIED, IdentityReason.ALIKE),
        (LivenessState.UNDECIDED, IdentityState.UNDECIDED, IdentityReason.LIVENESS_OPEN),
        (LivenessState.SPOOF, IdentityState.UNDECIDED, IdentityReason.SPOOF),
    ],
)
def test_a_spoof_is_not_named_nor_what_may_be_one(
    liveness: LivenessState | None, state: IdentityState, reason: IdentityReason
) -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    votes.set_liveness(liveness)
    decision = alone(votes)
    assert (decision.state, decision.reason) == (state, reason)
    assert (decision.person_id is None) is (state is not IdentityState.IDENTIFIED)
    assert votes.wants_look is (liveness is LivenessState.UNDECIDED)


def test_a_spoof_is_named_if_asked_for() -> None:
    votes = looked(ADA_SURE, ADA_SURE, rules=replace(RULES, identify_spoofs=True))
    votes.set_liveness(LivenessState.SPOOF)
    assert alone(votes).person_id == ADA


def test_a_name_once_given_outlives_a_doubt_of_liveness_but_not_a_spoof() -> None:
    votes = looked(ADA_SURE, ADA_SURE)
    votes.set_liveness(LivenessState.LIVE)
    assert alone(votes).person_id == ADA
    votes.set_liveness(LivenessState.UNDECIDED)
    assert alone(votes).person_id == ADA
    votes.set_liveness(LivenessState.SPOOF)
    assert alone(votes).person_id is None


def test_nothing_of_an_erased_person_stays() -> None:
    votes = looked(search((ADA, SURE), (GRACE, LOW), vetoed=(ALAN,)), ADA_SURE)
    alone(votes)
    for person in (ADA, ALAN):
        votes.forget(person)
    decision = alone(votes)
    assert str(ADA) not in repr(decision)
    assert str(ALAN) not in repr(decision)
    assert [standing.person_id for standing in decision.standings] == [GRACE]


def test_a_decision_tells_all_it_rests_on() -> None:
    decision = alone(looked(ADA_SURE, ADA_SURE, quality=0.7))
    assert decision.thresholds == RULES.thresholds(PEOPLE)
    assert decision.level == pytest.approx(SURE)
    assert decision.margin == pytest.approx(SURE - LOW)
    assert decision.standings[0].models["m"].cosine == pytest.approx(SURE / 10)
    assert [(vote.frame, vote.quality, vote.people) for vote in decision.votes] == [(0, 0.7, PEOPLE), (1, 0.7, PEOPLE)]
    assert decision.votes[0].levels == {ADA: SURE, GRACE: LOW}


def test_memory_is_bounded() -> None:
    votes = looked(*[ADA_SURE] * 500, *[SearchResult((), 1, 1, problem=SearchProblem.UNUSABLE)] * 500)
    decision = alone(votes)
    assert len(decision.votes) == RULES.memory
    assert len(decision.skipped) <= 10
    assert decision.attempts == 1000
