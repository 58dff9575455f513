"""A camera that is made up."""

from __future__ import annotations

from collections import Counter

from streamapp.capacity.camera import LOOKS, Ask, Camera, Traffic
from streamapp.capacity.costs import read_costs
from streamapp.pipeline.keyframes import Reason

LINEUP = read_costs().lineup_named("light")


def reasons_of(traffic: Traffic, seconds: float, seed: str = "1") -> Counter[Reason]:
    """Why faces were analysed, where models answer at once and cost next to nothing."""
    camera, found = Camera("door", traffic, LINEUP, seed), Counter[Reason]()
    for number in range(round(seconds * 10)):
        request = camera.decide(number / 10)
        if request is not None:
            found.update(reason for _, reason in request.targets)
            camera.answered(request)
            camera.finish(0.001, number / 10)
    return found


def test_as_many_faces_come_as_the_traffic_says() -> None:
    seconds = 2000.0
    new = reasons_of(Traffic(faces_per_s=0.1, stay_s=3.0), seconds)[Reason.NEW_TRACK]
    assert 150 < new < 250, "200 on average, with a standard deviation of 14"


def test_a_face_that_stays_is_looked_at_until_nothing_is_open_and_then_refreshed_now_and_then() -> None:
    reasons = reasons_of(Traffic(faces_per_s=0.01, stay_s=1000.0), 100.0)
    faces = reasons[Reason.NEW_TRACK]
    assert faces > 3
    assert reasons[Reason.UNDECIDED] == (LOOKS - 1) * faces
    assert reasons[Reason.INTERVAL] > faces


def test_without_faces_pictures_are_only_swept() -> None:
    camera = Camera("empty", Traffic(faces_per_s=0.0), LINEUP, "1")
    request = camera.decide(0.0)
    assert request is not None
    assert camera.steps(request) == ((Ask(LINEUP.detector, 1),),)


def test_a_keyframe_asks_for_analysis_then_for_the_sweep() -> None:
    camera = Camera("busy", Traffic(faces_per_s=2.0, stay_s=100.0), LINEUP, "1")
    request = next(found for number in range(40) if (found := camera.decide(number / 10)) and finish(camera, number))
    faces = len(request.targets)
    steps = camera.steps(request)
    assert steps[0] == (Ask(LINEUP.refinement, faces),)
    assert steps[1] == tuple(Ask(name, faces) for name in LINEUP.analysers)


def finish(camera: Camera, number: int) -> bool:
    """Ends a keyframe; whether it had been one with faces is what the policy says of the next."""
    camera.finish(0.0, number / 10)
    return bool(camera._visits)


def test_nothing_is_asked_while_a_keyframe_is_in_hand() -> None:
    camera = Camera("busy", Traffic(faces_per_s=2.0, stay_s=100.0), LINEUP, "1")
    assert camera.decide(0.0) is not None
    assert all(camera.decide(number / 10) is None for number in range(1, 50))
    camera.finish(0.1, 5.0)
    assert camera.decide(5.2) is not None
