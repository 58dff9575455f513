"""Tracks are set against labels frame by frame: whom each shows, and what its newest crop says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamapp.evaluation.clips import FrameLabels, LabelledClip
from streamapp.evaluation.crop_log import Crop
from streamapp.evaluation.shown_faces import ShownFace, shown_faces
from streamapp.faces import Mode
from streamapp.results import FrameResult, TrackResult
from tests.pictures import track

Box = tuple[float, float, float, float]
HERE, NEAR, TOUCHING, FAR = (
    (0.0, 0.0, 10.0, 10.0),
    (2.0, 0.0, 12.0, 10.0),
    (7.0, 0.0, 17.0, 10.0),
    (50.0, 0.0, 60.0, 10.0),
)
WAY = "crops"
PEOPLE: dict[int | None, str | None] = {1: "Ada", 2: None}


def labels(**people: Box) -> FrameLabels:
    ids = np.array([int(name.removeprefix("p")) for name in people], np.int64)
    nothing = np.zeros((0, 4), np.float32)
    return FrameLabels(ids, np.array(list(people.values()), np.float32).reshape(-1, 4), nothing)


def clip(*frames: FrameLabels) -> LabelledClip:
    return LabelledClip(Path("lobby.mp4"), dict(enumerate(frames)), PEOPLE)


def results(*frames: list[TrackResult]) -> list[FrameResult]:
    return [
        FrameResult("clip", index, index * 0.5, 0.0, 640, 480, Mode.FULL, tuple(tracks), None, {}, {})
        for index, tracks in enumerate(frames)
    ]


def shown(of: LabelledClip, *frames: list[TrackResult], crops: tuple[Crop, ...] = ()) -> list[ShownFace]:
    return shown_faces(of, results(*frames), {WAY: crops}, min_iou=0.5, first_block=3)


def who(faces: list[ShownFace]) -> list[tuple[str, int | None, str | None]]:
    return [(face.face, face.track, face.truth) for face in faces]


def test_a_track_on_a_labelled_face_shows_that_person() -> None:
    faces = shown(clip(labels(p1=HERE, p2=FAR)), [track(FAR, track_id=8), track(NEAR, track_id=7)])
    assert sorted(who(faces)) == [("person 1", 7, "Ada"), ("person 2", 8, None)]


def test_somebody_who_was_not_found_is_there_without_a_track() -> None:
    assert who(shown(clip(labels(p1=HERE)), [])) == [("person 1", None, "Ada")]


def test_a_track_beside_all_faces_is_nobody_and_one_that_only_touches_one_is_left_out() -> None:
    faces = shown(clip(labels(p2=HERE)), [track(FAR, track_id=7), track(TOUCHING, track_id=8)])
    assert who(faces) == [("track 7", 7, None), ("person 2", None, None)]


def test_a_track_that_outlasts_its_face_is_whom_it_was() -> None:
    faces = shown(clip(labels(p1=HERE), labels()), [track(HERE, track_id=7)], [track(FAR, track_id=7)])
    assert who(faces) == [("person 1", 7, "Ada")] * 2
    assert [face.is_there for face in faces] == [True, False]


def test_a_track_stops_being_whom_another_track_is() -> None:
    faces = shown(
        clip(labels(p1=HERE), labels(p1=HERE)),
        [track(HERE, track_id=7)],
        [track(FAR, track_id=7), track(HERE, track_id=8)],
    )
    assert sorted(who(faces)[1:]) == [("person 1", 8, "Ada"), ("track 7", 7, None)]


def test_in_a_clip_without_boxes_everybody_is_the_one() -> None:
    alone = LabelledClip(Path("door.mp4"), None, {None: "Ada"})
    faces = shown(alone, [track(HERE, track_id=7), track(FAR, track_id=8)])
    assert who(faces) == [("track 7", 7, "Ada"), ("track 8", 8, "Ada")]
    assert all(face.is_there for face in faces)


def test_a_crop_counts_from_the_frame_at_which_it_is_known_until_the_next() -> None:
    first, second = (Crop(7, frame, {"gender": value}, False, None) for frame, value in ((1, "male"), (2, "female")))
    frames = [[track(HERE, track_id=7)]] * 4
    faces = shown(clip(*[labels(p1=HERE)] * 4), *frames, crops=(first, second))
    assert [face.crops.get(WAY) for face in faces] == [None, first, second, second]


def test_frames_last_until_the_next_and_are_in_blocks_of_two_seconds() -> None:
    faces = shown(clip(*[labels(p1=HERE)] * 6), *[[track(HERE)]] * 6)
    assert [face.lasts_s for face in faces] == pytest.approx([0.5] * 6)
    assert [face.block for face in faces] == [3, 3, 3, 3, 4, 4]
