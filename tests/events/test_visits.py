"""Who comes and goes is told once each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.choices import EventKind
from streamapp.events.event import Because, Event
from streamapp.events.visits import VisitRules
from streamapp.faces import TrackState
from streamapp.results import IdentityState
from tests.events.scenes import ADA, BOB, FPS, LEFT_BOX, NOW, RIGHT_BOX, TIMES, Face, ids, result

APPEARED, IDENTIFIED, SPOOF, LEFT = (
    EventKind.APPEARED,
    EventKind.IDENTIFIED,
    EventKind.SPOOF_SUSPECTED,
    EventKind.LEFT,
)
Scene = Sequence[Face]


def played(*parts: tuple[float, Scene], end: bool = False) -> list[Event]:
    """What is told of scenes, each shown for so many seconds."""
    rules = VisitRules("door", TIMES, ids())
    events, frame = [], 0
    for duration_s, faces in parts:
        for _ in range(round(duration_s * FPS)):
            events += rules.see(result(frame / FPS, *faces), NOW + frame / FPS)
            frame += 1
    return events + (rules.end(Because.STREAM_ENDED) if end else [])


def kinds(events: Iterable[Event]) -> list[EventKind]:
    return [event.kind for event in events]


def test_a_face_appears_once_and_leaves_once() -> None:
    events = played((2, [Face()]), (4, []), (1, []))
    assert kinds(events) == [APPEARED, LEFT]
    appeared, left = events
    assert (appeared.at, appeared.visit, appeared.track, appeared.stream) == (NOW, appeared.id, 1, "door")
    assert (left.visit, left.because, left.at, left.frame) == (appeared.id, Because.GONE, NOW + 1.9, 19)
    assert left.duration_s == 1.9


def test_who_left_is_told_as_far_as_it_was_known() -> None:
    def known(*parts: tuple[float, Scene]) -> list[IdentityState | None]:
        return [event.identity for event in played(*parts, end=True) if event.kind is LEFT]

    assert known((2, [Face()])) == [None], "compared with nobody"
    assert known((1, [Face()]), (1, [Face(unknown=True)])) == [IdentityState.UNKNOWN]
    assert known((1, [Face(unknown=True)]), (1, [Face()])) == [IdentityState.UNKNOWN], "as when last compared"
    assert known((2, [Face(person=ADA)]), (1, [Face(unknown=True)])) == [IdentityState.IDENTIFIED]


def test_nothing_is_told_of_a_glimpse() -> None:
    assert played((0.4, [Face()]), (5, [])) == []
    assert played(*[(0.4, [Face(track)]) if track % 2 else (0.2, []) for track in range(20)]) == []


def test_a_track_that_was_not_seen_is_not_there() -> None:
    coasting = Face(state=TrackState.COASTING)
    assert played((5, [coasting])) == []
    assert kinds(played((1, [Face()]), (3.2, [coasting]))) == [APPEARED, LEFT]


def test_appearing_takes_so_many_results_also_where_results_are_rare() -> None:
    rules = VisitRules("door", TIMES, ids())
    told = [kinds(rules.see(result(2.0 * n, Face()), NOW)) for n in range(4)]
    assert told == [[], [], [APPEARED], []]


def test_who_is_back_in_time_has_not_left() -> None:
    near = (30, 60, 85, 120)
    events = played((1, [Face(1)]), (2.8, []), (1, [Face(2, near)]), (2.8, []), (1, [Face(3)]), end=True)
    assert kinds(events) == [APPEARED, LEFT]
    assert events[-1].duration_s == 8.5


def test_who_comes_elsewhere_or_later_is_another_visit() -> None:
    elsewhere = played((1, [Face(1)]), (1, []), (1, [Face(2, RIGHT_BOX)]), end=True)
    assert kinds(elsewhere) == [APPEARED, APPEARED, LEFT, LEFT]
    assert kinds(played((1, [Face(1)]), (3.2, []), (1, [Face(2)]), end=True)) == [APPEARED, LEFT, APPEARED, LEFT]
    larger = played((1, [Face(1)]), (1, []), (1, [Face(2, (0, 0, 200, 220))]), end=True)
    assert kinds(larger) == [APPEARED, APPEARED, LEFT, LEFT]


def test_who_is_still_there_is_not_who_comes() -> None:
    events = played((1, [Face(1)]), (1, [Face(1), Face(2)]), end=True)
    assert kinds(events) == [APPEARED, APPEARED, LEFT, LEFT]
    assert len({event.visit for event in events}) == 2


def test_of_two_lost_faces_the_nearer_is_back() -> None:
    first, second = Face(1), Face(2, (90, 50, 140, 110))
    for back, gone in ((Face(3, (40, 50, 90, 110)), 1), (Face(3, (60, 50, 110, 110)), 0)):
        events = played((1, [first, second]), (1, []), (3, [back]))
        assert kinds(events) == [APPEARED, APPEARED, LEFT]
        assert events[-1].visit == events[gone].id


def test_the_end_of_the_stream_ends_visits() -> None:
    events = played((1, [Face(1), Face(2, RIGHT_BOX)]), (0.2, [Face(1), Face(3, (200, 50, 250, 110))]), end=True)
    assert kinds(events) == [APPEARED, APPEARED, LEFT, LEFT]
    assert {event.because for event in events[2:]} == {Because.STREAM_ENDED}


def test_an_identity_is_told_once_it_holds() -> None:
    events = played((1, [Face()]), (2, [Face(person=ADA)]), (4, []))
    assert kinds(events) == [APPEARED, IDENTIFIED, LEFT]
    assert [event.person_id for event in events] == [None, ADA, ADA]
    assert events[1].at == NOW + 1.5
    assert events[1].score == 4.5
    assert kinds(played((1, [Face()]), (0.4, [Face(person=ADA)]), (1, [Face()]))) == [APPEARED]


def test_an_identity_that_flickers_is_told_once() -> None:
    flicker = [(0.4, [Face(person=BOB)]), (0.4, [Face()]), (0.6, [Face(person=ADA)])] * 5
    events = played((2, [Face(person=ADA)]), *flicker, end=True)
    assert kinds(events) == [APPEARED, IDENTIFIED, LEFT]


def test_another_identity_that_holds_is_told() -> None:
    ada, bob = [Face(person=ADA)], [Face(person=BOB)]
    events = played((1, ada), (1, bob), (1, ada), end=True)
    assert kinds(events) == [APPEARED, IDENTIFIED, IDENTIFIED, IDENTIFIED, LEFT]
    assert [event.person_id for event in events[1:]] == [ADA, BOB, ADA, ADA]


def test_a_person_who_comes_back_elsewhere_in_time_is_the_same_visit() -> None:
    events = played((2, [Face(1, LEFT_BOX, ADA)]), (1, []), (2, [Face(2, RIGHT_BOX, ADA)]), (4, []))
    assert kinds(events) == [APPEARED, IDENTIFIED, APPEARED, LEFT, LEFT]
    first, _, second, merged, left = events
    assert (merged.visit, merged.because, merged.person_id) == (second.id, Because.SAME_PERSON, None)
    assert (left.visit, left.because, left.person_id, left.track) == (first.id, Because.GONE, ADA, 2)
    assert left.duration_s == 4.9


def test_nobody_is_there_twice() -> None:
    """The second face is somebody once the first is gone, and then it is the visit of the first that goes on."""
    events = played((2, [Face(1, person=ADA)]), (2, [Face(1, person=ADA), Face(2, RIGHT_BOX, ADA)]))
    assert kinds(events) == [APPEARED, IDENTIFIED, APPEARED]


def test_a_spoof_is_told_once_a_visit() -> None:
    spoof = [Face(is_spoof=True)]
    events = played(
        (1, [Face()]), (1, spoof), (1, [Face()]), (2, spoof), (1, []), (1, [Face(2, is_spoof=True)]), end=True
    )
    assert kinds(events) == [APPEARED, SPOOF, LEFT]
    assert events[1].score == 0.1
    assert kinds(played((1, [Face()]), (0.4, spoof), (1, [Face()]))) == [APPEARED]


# -- whatever happens --------------------------------------------------------------------------------------------------

BOXES = [(x, 50.0, x + 50, 110.0) for x in (10.0, 40.0, 90.0, 400.0, 430.0)]
faces = st.builds(
    Face,
    track=st.integers(1, 4),
    box=st.sampled_from(BOXES),
    person=st.sampled_from([None, None, ADA, BOB]),
    is_spoof=st.booleans(),
    state=st.sampled_from([TrackState.CONFIRMED, TrackState.CONFIRMED, TrackState.COASTING]),
)
scenes = st.tuples(
    st.floats(0.02, 4.0),
    st.lists(faces, max_size=3, unique_by=lambda face: face.track),
    st.integers(1, 12),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(scenes, max_size=25))
def test_every_visit_is_told_once_whatever_flickers(parts: list[tuple[float, list[Face], int]]) -> None:
    rules = VisitRules("door", TIMES, ids())
    events: list[Event] = []
    pts_s = 0.0
    for pause_s, shown, times in parts:
        for number in range(times):
            pts_s += pause_s if number == 0 else 0.1
            events += rules.see(result(pts_s, *shown), NOW + pts_s)
    events += rules.end(Because.STREAM_ENDED)

    assert rules.see(result(pts_s + 1), NOW) == [], "nothing is left over"
    assert [event.id for event in events] == sorted(event.id for event in events)
    by_visit: dict[UUID | None, list[Event]] = {}
    for event in events:
        by_visit.setdefault(event.visit, []).append(event)
    for told in by_visit.values():
        assert kinds(told)[0] is APPEARED
        assert kinds(told)[-1] is LEFT
        assert kinds(told).count(APPEARED) == kinds(told).count(LEFT) == 1
        assert kinds(told).count(SPOOF) <= 1
        people = [event.person_id for event in told if event.kind is IDENTIFIED]
        assert len(list(groupby(people))) == len(people), "the same person is not told twice in a row"
        assert told[-1].person_id == (people[-1] if people else None)
        assert [event.at for event in told] == sorted(event.at for event in told)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.booleans(), min_size=30, max_size=80),
    st.lists(st.floats(-8, 8), min_size=80, max_size=80),
    st.lists(st.booleans(), min_size=80, max_size=80),
)
def test_one_face_is_one_visit_whatever_the_jitter(seen: list[bool], shifts: list[float], said: list[bool]) -> None:
    """Detections come and go within the time allowed, boxes jitter, tracks break at every gap."""
    rules = VisitRules("door", TIMES, ids())
    events, track, was_seen = [], 0, False
    steady = [True] * 20
    for frame, is_seen in enumerate([*steady, *seen, *steady]):
        pts_s, shift = frame * 0.03, shifts[frame % 80]
        track += is_seen and not was_seen
        was_seen = is_seen
        person = ADA if frame < len(steady) or said[frame % 80] else None
        shown = [Face(track, (100 + shift, 100 - shift, 160 + shift, 170 - shift), person)] if is_seen else []
        events += rules.see(result(pts_s, *shown), NOW + pts_s)
    assert kinds(events).count(APPEARED) == 1
    events += rules.end(Because.STREAM_ENDED)
    assert kinds(events).count(APPEARED) == kinds(events).count(LEFT) == 1
    assert kinds(events).count(IDENTIFIED) <= 1
