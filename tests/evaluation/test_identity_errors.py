"""Wrong names are counted as often as they begin, and both ways are compared where they name people as often."""

from __future__ import annotations

import math

import pytest

from streamapp.evaluation.identity_errors import IdentityRow, equal_recall_shift, identity_row, told_alone
from streamapp.evaluation.shown_faces import ShownFace, Told
from tests.evaluation.shown import ACCEPT, FRAME_S, OPEN, UNKNOWN, WAY, crop, face, named

HOUR_S = 3600.0


def row(*faces: ShownFace) -> IdentityRow:
    return identity_row(0.0, faces, [one.told for one in faces], HOUR_S)


def story(*told: Told | None, truth: str | None = "Ada") -> list[ShownFace]:
    return [face(frame, one, truth=truth) for frame, one in enumerate(told)]


def test_a_wrong_name_is_one_error_however_long_it_stays() -> None:
    found = row(*story(OPEN, named("Grace"), named("Grace"), named("Ada"), named("Grace")))
    assert (found.wrong_names.count, found.false_matches.count, found.errors) == (2, 0, 2)
    assert found.wrong_names.estimate.value == pytest.approx(2)
    assert found.wrong_time.value == pytest.approx(3 / 5)


def test_a_name_for_a_stranger_is_a_false_match_and_another_name_another() -> None:
    found = row(*story(UNKNOWN, named("Grace"), named("Ada"), UNKNOWN, named("Ada"), truth=None))
    assert (found.false_matches.count, found.wrong_names.count) == (3, 0)


def test_recall_counts_the_time_in_which_nobody_was_found_too() -> None:
    missed = face(2, None, track=None)
    found = row(*story(named("Ada"), OPEN), missed, face(3, named("Ada")))
    assert found.recall.value == pytest.approx(0.5)
    assert found.wrong_time.value == 0


def test_a_track_that_outlasts_its_face_is_right_but_no_recall() -> None:
    gone = face(2, named("Ada"), crop("Ada", ACCEPT), is_there=False)
    found = row(*story(OPEN, named("Ada")), gone)
    assert found.recall.value == pytest.approx(0.5)
    assert found.errors == 0
    assert equal_recall_shift([face(0, OPEN, crop("Ada", ACCEPT)), gone], WAY) == 0


def test_strangers_do_not_count_for_recall() -> None:
    assert row(*story(named("Ada")), *story(UNKNOWN, truth=None)).recall.value == 1
    assert math.isnan(row(*story(UNKNOWN, truth=None)).recall.value)


def test_the_time_to_the_right_name_begins_with_the_first_sight() -> None:
    early = [face(frame, told) for frame, told in enumerate((None, OPEN, named("Grace"), named("Ada")), 4)]
    never = [face(frame, OPEN, clip="door") for frame in range(3)]
    found = row(*early, *never)
    assert found.first_s.value == pytest.approx(3 * FRAME_S)
    assert (found.named.count, found.named.total) == (1, 2)


def test_a_crop_alone_names_from_the_threshold_on() -> None:
    faces = [face(0, None, crop("Ada", ACCEPT)), face(1, None, crop("Ada", ACCEPT - 0.1)), face(2, None)]
    assert told_alone(faces, WAY, 0.0) == [named("Ada"), UNKNOWN, None]
    assert told_alone(faces, WAY, -0.2) == [named("Ada"), named("Ada"), None]
    assert told_alone([face(0, None, crop())], WAY, 0.0) == [UNKNOWN]


def test_equal_recall_is_the_highest_threshold_that_names_people_no_less_than_the_app() -> None:
    levels = (ACCEPT + 3, ACCEPT + 2, ACCEPT + 1, ACCEPT - 1)
    faces = [face(i, named("Ada") if i < 2 else OPEN, crop("Ada", level)) for i, level in enumerate(levels)]
    shift = equal_recall_shift(faces, WAY)
    assert shift == pytest.approx(2)
    alone = identity_row(shift, faces, told_alone(faces, WAY, shift), HOUR_S)
    assert alone.recall.value == row(*faces).recall.value == pytest.approx(0.5)


def test_crops_that_never_reach_the_recall_of_the_app_are_judged_by_its_threshold() -> None:
    faces = [face(0, named("Ada"), crop("Grace", ACCEPT)), face(1, named("Ada"), crop("Ada", -50.0))]
    assert equal_recall_shift(faces, WAY) == 0.0


def test_a_recall_that_takes_a_lower_threshold_gets_it() -> None:
    faces = [
        face(0, named("Ada"), crop("Ada", ACCEPT - 2.0)),
        face(1, UNKNOWN, crop("Grace", ACCEPT - 1.0), truth=None),
    ]
    shift = equal_recall_shift(faces, WAY)
    assert shift == pytest.approx(-2.0)
    assert identity_row(shift, faces, told_alone(faces, WAY, shift), HOUR_S).false_matches.count == 1
