"""Who the faces of a stream are: decided for a frame's faces together, and nothing of the erased comes back."""

from __future__ import annotations

from uuid import UUID

from streamapp.gallery.fusion import FusedScore, MemberScore
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.search import Match, SearchProblem, SearchResult
from streamapp.pipeline.identities import Identities, Look
from streamapp.results import IdentityReason, IdentityState, LivenessState

ADA, GRACE = UUID(int=1), UUID(int=2)
RULES = VoteRules(max_attempts=6)
SURE = RULES.thresholds(10).accept + 0.9
"""Well above the threshold, and not so far that one look is enough."""


def search(*levels: tuple[UUID, float], people: int = 10, problem: SearchProblem | None = None) -> SearchResult:
    matches = tuple(
        Match(person, FusedScore(level, (MemberScore("m", level / 10, level, 1.0),), ())) for person, level in levels
    )
    return SearchResult(matches, people, 1, problem=problem)


ADA_SURE = search((ADA, SURE), (GRACE, 0.0))


class Stream:
    """Frames of a stream, each with a look at every track that is in it."""

    def __init__(self) -> None:
        self.names = {ADA: "Ada", GRACE: "Grace"}
        self.identities = Identities(RULES, self.names.get)
        self._frame = 0

    def frame(self, looks: dict[int, SearchResult], liveness: LivenessState | None = None) -> dict[int, str | None]:
        """The names after this frame."""
        for track, result in looks.items():
            self.identities.add(track, Look(self._frame, self._frame / 10, 0.8, result))
        self._frame += 1
        self.identities.decide(dict.fromkeys(looks, liveness))
        return {track: found.name if (found := self.identities.of(track)) else None for track in looks}

    def state(self, track: int) -> tuple[IdentityState, IdentityReason]:
        found = self.identities.of(track)
        assert found is not None
        return found.decision.state, found.decision.reason


def test_a_name_comes_after_several_looks_and_from_the_gallery() -> None:
    stream = Stream()
    assert stream.frame({1: ADA_SURE}) == {1: None}
    assert stream.identities.unsettled == {1}
    assert stream.frame({1: ADA_SURE}) == {1: "Ada"}
    assert stream.identities.unsettled == frozenset()
    stream.names[ADA] = "Ada L."
    assert stream.identities.of(1).name == "Ada L."  # type: ignore[union-attr]  # it was decided above
    assert stream.identities.of(2) is None


def test_of_two_faces_of_a_frame_only_the_more_alike_has_the_name() -> None:
    stream = Stream()
    less = search((ADA, SURE - 0.5), (GRACE, 0.0))
    stream.frame({1: less, 2: ADA_SURE})
    assert stream.frame({1: less, 2: ADA_SURE}) == {1: None, 2: "Ada"}
    assert stream.state(1) == (IdentityState.UNDECIDED, IdentityReason.CONTESTED)
    assert stream.frame({1: less}) == {1: "Ada"}, "the other left the picture"


def test_the_same_picture_shown_twice_is_one_vote() -> None:
    identities = Identities(RULES, {ADA: "Ada"}.get)
    for _ in range(5):
        identities.add(1, Look(7, 0.7, 0.8, ADA_SURE))
    identities.decide({1: None})
    found = identities.of(1)
    assert found is not None
    assert (len(found.decision.votes), found.decision.attempts) == (1, 5)
    assert found.decision.reason is IdentityReason.TOO_FEW_VOTES


def test_a_track_that_starts_over_is_nobody_until_it_is_looked_at() -> None:
    stream = Stream()
    stream.frame({1: ADA_SURE})
    assert stream.frame({1: ADA_SURE}) == {1: "Ada"}
    stream.identities.start_over(1)
    assert stream.identities.of(1) is None
    assert stream.identities.unsettled == {1}
    stream.frame({1: ADA_SURE})
    assert stream.state(1) == (IdentityState.UNDECIDED, IdentityReason.TOO_FEW_VOTES)


def test_a_face_is_not_named_before_it_is_known_to_be_alive() -> None:
    stream = Stream()
    for _ in range(3):
        assert stream.frame({1: ADA_SURE}, LivenessState.UNDECIDED) == {1: None}
    assert stream.state(1) == (IdentityState.UNDECIDED, IdentityReason.LIVENESS_OPEN)
    assert stream.frame({1: ADA_SURE}, LivenessState.LIVE) == {1: "Ada"}
    assert stream.frame({1: ADA_SURE}, LivenessState.SPOOF) == {1: None}
    assert stream.state(1) == (IdentityState.UNDECIDED, IdentityReason.SPOOF)
    assert 1 not in stream.identities.unsettled, "looking again at a spoof names nobody"


def test_where_nobody_is_enrolled_one_look_says_so_and_no_more_are_wanted() -> None:
    stream = Stream()
    stream.frame({1: search(people=0)})
    assert stream.state(1) == (IdentityState.UNKNOWN, IdentityReason.NOBODY_ENROLLED)
    assert stream.identities.unsettled == frozenset()
    stream.identities.look_again()
    assert stream.identities.unsettled == {1}, "somebody was enrolled"
    assert stream.frame({1: ADA_SURE}) == {1: None}, "the first look said nothing about her"
    assert stream.frame({1: ADA_SURE}) == {1: "Ada"}
    stream.identities.look_again()
    assert stream.identities.unsettled == frozenset(), "who has a name is not asked again"


def test_what_cannot_be_compared_is_nobody() -> None:
    stream = Stream()
    for _ in range(RULES.max_attempts):
        stream.frame({1: search(problem=SearchProblem.UNUSABLE)})
    assert stream.state(1) == (IdentityState.UNKNOWN, IdentityReason.ATTEMPTS_USED_UP)


def test_who_is_said_not_to_be_somebody_is_not_called_that_again() -> None:
    stream = Stream()
    stream.frame({1: ADA_SURE})
    assert stream.frame({1: ADA_SURE}) == {1: "Ada"}
    stream.identities.reject(1, ADA)
    for _ in range(5):
        assert stream.frame({1: ADA_SURE}) == {1: None}


def test_the_erased_are_gone_at_once_and_do_not_come_back_by_a_late_answer() -> None:
    stream = Stream()
    stream.frame({1: ADA_SURE})
    assert stream.frame({1: ADA_SURE}) == {1: "Ada"}
    del stream.names[ADA]
    stream.identities.forget(ADA)
    found = stream.identities.of(1)
    assert found is not None
    assert str(ADA) not in str(found)
    stream.frame({1: ADA_SURE})
    assert str(ADA) not in str(stream.identities.of(1))


def test_a_track_that_is_gone_leaves_nothing() -> None:
    stream = Stream()
    stream.frame({1: ADA_SURE})
    stream.identities.drop(1)
    assert stream.identities.of(1) is None
    assert stream.identities.unsettled == frozenset()
