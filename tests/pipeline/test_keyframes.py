"""Which frames are chosen, why, and that the models are left alone often enough."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.faces import Detector, Mode, Track, TrackState
from streamapp.pipeline.keyframes import (
    BUDGET_SHARE,
    COOLDOWN_S,
    GOOD_QUALITY,
    LOST_S,
    MAX_ATTEMPTS,
    MAX_TARGETS,
    PATIENCE_S,
    REFRESH_S,
    SWEEP_S,
    KeyframePolicy,
    KeyframeRequest,
    Reason,
    priority_of,
)
from streamapp.scheduler.api import Priority

FRAME_S = 1 / 30


def face(track_id: int = 1, *, side: float = 100, score: float = 0.9, seen: bool = True) -> Track:
    state = TrackState.CONFIRMED if seen else TrackState.COASTING
    return Track(track_id, (0, 0, side, side), score, Detector.MEDIAPIPE, state)


def decide(
    policy: KeyframePolicy,
    now_s: float,
    *tracks: Track,
    is_idle: bool = True,
    undecided: Sequence[int] = (),
    disputed: Sequence[int] = (),
    scene_changed: bool = False,
) -> KeyframeRequest | None:
    return policy.decide(
        tracks,
        now_s,
        is_idle=is_idle,
        undecided=frozenset(undecided),
        disputed=frozenset(disputed),
        scene_changed=scene_changed,
        qualities={track.id: (track.box[2] - track.box[0]) / 250 for track in tracks},
    )


def reasons_of(request: KeyframeRequest | None) -> dict[int, Reason]:
    return {} if request is None else dict(request.targets)


def analysed(*tracks: Track) -> KeyframePolicy:
    """A policy that has swept and analysed these tracks at 0."""
    policy = KeyframePolicy(Mode.FULL)
    assert decide(policy, 0.0, *(tracks or (face(),))) is not None
    return policy


def test_fast_streams_have_no_keyframes() -> None:
    policy = KeyframePolicy(Mode.FAST)
    policy.ask()
    assert decide(policy, 0.0, face(), scene_changed=True) is None


@pytest.mark.parametrize("mode", [Mode.STANDARD, Mode.PRECISION])
def test_modes_without_analysis_only_sweep_at_once_and_then_at_an_interval(mode: Mode) -> None:
    policy = KeyframePolicy(mode)
    chosen = [frame for frame in range(91) if decide(policy, frame * FRAME_S, face(), undecided=[1])]
    assert chosen == [0, 30, 60, 90]
    policy = KeyframePolicy(mode)
    request = decide(policy, 0.0, face())
    assert request == KeyframeRequest(Reason.INTERVAL, ())
    assert request.priority is Priority.REFRESH


def test_a_new_track_is_analysed_once_as_a_new_face() -> None:
    policy = analysed(face(1))
    request = decide(policy, 0.1, face(1), face(2))
    assert request is not None
    assert (request.sweep, request.targets) == (None, ((2, Reason.NEW_TRACK),))
    assert request.priority is Priority.NEW_FACE
    assert decide(policy, 0.2, face(1), face(2)) is None


def test_a_track_that_is_not_seen_in_this_frame_is_not_analysed() -> None:
    policy = KeyframePolicy(Mode.FULL)
    assert reasons_of(decide(policy, 0.0, face(1, seen=False))) == {}
    assert reasons_of(decide(policy, 0.1, face(1))) == {1: Reason.NEW_TRACK}


def test_a_face_that_was_lost_and_found_is_looked_at_anew_and_one_that_blinked_is_not() -> None:
    policy = analysed(face(1), face(2))
    assert decide(policy, 0.5, face(1, seen=False), face(2)) is None
    assert decide(policy, 0.6, face(1, seen=False), face(2, seen=False)) is None
    assert reasons_of(decide(policy, 0.5 + LOST_S, face(1), face(2))) == {1: Reason.LOST_AND_FOUND}
    assert decide(policy, 0.9, face(1), face(2)) is None


@pytest.mark.parametrize(
    ("track", "undecided", "disputed", "reason"),
    [
        (face(score=0.5), [], [], Reason.LOW_SCORE),
        (face(side=150), [], [], Reason.BETTER_VIEW),
        (face(), [1], [], Reason.UNDECIDED),
        (face(), [1], [1], Reason.DISAGREEMENT),
        (face(side=120), [], [], None),
    ],
)
def test_reasons_to_look_again_after_the_cooldown(
    track: Track, undecided: list[int], disputed: list[int], reason: Reason | None
) -> None:
    policy = analysed(face())
    assert decide(policy, COOLDOWN_S - 0.01, track, undecided=undecided, disputed=disputed) is None
    request = decide(policy, COOLDOWN_S, track, undecided=undecided, disputed=disputed)
    assert reasons_of(request).get(1) is reason
    if request is not None:
        assert request.priority is Priority.UNCERTAIN


def test_a_better_view_is_measured_against_the_best_so_far() -> None:
    policy = analysed(face(side=100))
    assert reasons_of(decide(policy, 0.6, face(side=140))) == {1: Reason.BETTER_VIEW}
    assert reasons_of(decide(policy, 1.2, face(side=150))) == {}
    assert reasons_of(decide(policy, 1.7, face(side=180))) == {}
    assert reasons_of(decide(policy, 1.8, face(side=200))) == {1: Reason.BETTER_VIEW}


def test_a_track_that_another_face_took_is_a_new_one_without_a_cooldown() -> None:
    policy = analysed(face(side=100))
    assert decide(policy, FRAME_S, face(side=101)) is None
    assert reasons_of(decide(policy, 2 * FRAME_S, face(side=160))) == {1: Reason.NEW_TRACK}


def test_a_face_that_stays_open_is_given_up_after_so_many_attempts_but_refreshed() -> None:
    policy = KeyframePolicy(Mode.FULL)
    looks: list[Reason] = []
    for frame in range(round(30 * (MAX_ATTEMPTS + 2 * REFRESH_S))):
        looks += reasons_of(decide(policy, frame * FRAME_S, face(), undecided=[1])).values()
    assert looks.count(Reason.NEW_TRACK) == 1
    assert looks.count(Reason.UNDECIDED) == MAX_ATTEMPTS - 1
    assert looks.count(Reason.INTERVAL) >= 2
    assert set(looks) == {Reason.NEW_TRACK, Reason.UNDECIDED, Reason.INTERVAL}


def test_a_face_about_which_nothing_is_open_is_refreshed_at_an_interval() -> None:
    policy = analysed(face())
    times = [n / 10 for n in range(1, 250) if reasons_of(decide(policy, n / 10, face()))]
    assert times == [REFRESH_S, 2 * REFRESH_S]


def test_a_keyframe_is_one_at_a_time_and_what_waits_is_not_forgotten() -> None:
    policy = KeyframePolicy(Mode.FULL)
    policy.ask()
    assert decide(policy, 0.0, face(), is_idle=False, scene_changed=True) is None
    request = decide(policy, 0.1, face())
    assert request == KeyframeRequest(Reason.ASKED, ((1, Reason.ASKED),))
    assert decide(policy, 0.2, face()) is None


def test_a_new_scene_is_swept_even_if_it_came_while_busy() -> None:
    policy = analysed(face())
    assert decide(policy, 0.1, face(), is_idle=False, scene_changed=True) is None
    request = decide(policy, 0.2, face())
    assert request is not None
    assert (request.sweep, request.priority) == (Reason.SCENE_CHANGE, Priority.NEW_FACE)
    assert decide(policy, 0.3, face()) is None


def test_what_was_asked_for_ignores_the_cooldown_and_the_rest() -> None:
    policy = analysed(face())
    policy.spent(5.0, 0.1)
    policy.ask()
    assert reasons_of(decide(policy, 0.2, face())) == {1: Reason.ASKED}


def test_after_a_costly_keyframe_the_models_rest_but_for_new_faces() -> None:
    policy = analysed(face())
    policy.spent(2.0, 2.0)
    rest_s = 2.0 * (1 - BUDGET_SHARE) / BUDGET_SHARE
    assert decide(policy, 1.9 + rest_s, face(), undecided=[1], scene_changed=True) is None
    assert reasons_of(decide(policy, 1.95 + rest_s, face(), face(2), undecided=[1]))[2] is Reason.NEW_TRACK
    assert decide(policy, 2.0 + rest_s, face(), face(2), undecided=[1]) is None, "all was done with the new face"
    policy.spent(0.0, 3.0 + rest_s)
    assert decide(policy, 3.0 + rest_s, face(), face(2)) is not None


def test_the_largest_of_many_new_faces_come_first_and_the_rest_follow() -> None:
    policy = KeyframePolicy(Mode.FULL)
    tracks = [face(n, side=120 + n) for n in range(1, 13)]
    first, second = decide(policy, 0.0, *tracks), decide(policy, 0.1, *tracks)
    assert [track_id for track_id, _ in (first.targets if first else ())] == list(range(12, 12 - MAX_TARGETS, -1))
    assert [track_id for track_id, _ in (second.targets if second else ())] == [4, 3, 2, 1]


def test_new_faces_come_before_open_ones_and_those_before_refreshes() -> None:
    policy = analysed(face(1), face(2))
    request = decide(policy, REFRESH_S, face(1, side=50), face(2, side=110), face(3, side=80), undecided=[1])
    assert request is not None
    assert request.targets == ((3, Reason.NEW_TRACK), (1, Reason.UNDECIDED), (2, Reason.INTERVAL))
    assert request.reasons == (Reason.NEW_TRACK, Reason.UNDECIDED, Reason.INTERVAL)
    assert request.priority is Priority.NEW_FACE


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_priority_of_a_stream(reason: Reason) -> None:
    assert priority_of(reason) in (Priority.NEW_FACE, Priority.UNCERTAIN, Priority.REFRESH)


frames = st.lists(
    st.tuples(
        st.sets(st.integers(1, 12), max_size=12),
        st.sets(st.integers(1, 12)),
        st.booleans(),
        st.booleans(),
        st.floats(0, 2),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(frames)
def test_whatever_happens_targets_are_few_seen_and_cooled_down_and_a_rest_is_kept(
    script: list[tuple[set[int], set[int], bool, bool, float]],
) -> None:
    policy = KeyframePolicy(Mode.FULL)
    last_s: dict[int, float] = {}
    resting_until_s = 0.0
    now_s = 0.0
    for present, open_ids, is_idle, changed, cost_s in script:
        now_s += 0.1
        tracks = [face(n, seen=n % 5 != 0) for n in sorted(present)]
        last_s = {n: at_s for n, at_s in last_s.items() if n in present}
        request = decide(policy, now_s, *tracks, is_idle=is_idle, undecided=sorted(open_ids), scene_changed=changed)
        if request is None:
            continue
        assert is_idle
        assert request.reasons
        assert len(request.targets) <= MAX_TARGETS
        ids = [track_id for track_id, _ in request.targets]
        assert len(set(ids)) == len(ids)
        assert set(ids) <= {track.id for track in tracks if track.state is TrackState.CONFIRMED}
        assert all(now_s - last_s[n] >= COOLDOWN_S for n in ids if n in last_s)
        assert now_s >= resting_until_s or request.priority is Priority.NEW_FACE
        last_s |= dict.fromkeys(ids, now_s)
        policy.spent(cost_s, now_s)
        resting_until_s = now_s + cost_s


def test_sweeps_are_no_more_often_than_their_interval_while_nothing_happens() -> None:
    policy = KeyframePolicy(Mode.FULL)
    swept = [n * FRAME_S for n in range(300) if (r := decide(policy, n * FRAME_S, face())) and r.sweep]
    assert all(after - before >= SWEEP_S - 1e-9 for before, after in pairwise(swept))


def test_a_new_face_waits_a_moment_for_a_shot_worth_analysing() -> None:
    policy = KeyframePolicy(Mode.FULL)
    assert reasons_of(decide(policy, 0.0, face(side=50))) == {}
    assert reasons_of(decide(policy, PATIENCE_S - 0.1, face(side=50))) == {}
    assert reasons_of(decide(policy, PATIENCE_S, face(side=50))) == {1: Reason.NEW_TRACK}
    policy = KeyframePolicy(Mode.FULL)
    assert reasons_of(decide(policy, 0.0, face(side=50))) == {}
    assert reasons_of(decide(policy, 0.1, face(side=250 * GOOD_QUALITY))) == {1: Reason.NEW_TRACK}


def test_a_track_of_which_there_is_no_shot_is_not_analysed() -> None:
    policy = KeyframePolicy(Mode.FULL)
    assert policy.decide((face(),), 1.0, is_idle=True, qualities={}) == KeyframeRequest(Reason.INTERVAL, ())
