"""Far faces, once somebody has said where they are, are followed on every frame by looking closely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from av import VideoFrame

from streamapp.faces import Detections, Detector, Mode, TrackState
from streamapp.frame import Frame
from streamapp.pipeline.stages import MAX_NEW_REGIONS, MAX_REGIONS, Screened, ScreeningStage
from streamapp.sections import PipelineSettings
from tests.fakes import ScriptedScreener, SpotScreener
from tests.pictures import frame

WIDTH, HEIGHT = 640, 480
NEAR_SIDE, FAR_SIDE = 200, 30
Spot = tuple[float, float, int]
"""x, y and side of a bright square."""


def shown(index: int, *spots: Spot, level: int = 40, pixel_format: str = "yuv420p") -> Frame:
    """A grey picture with bright squares."""
    rgb = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    for x, y, side in spots:
        rgb[round(y) : round(y) + side, round(x) : round(x) + side] = 250
    video = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
    return frame(index, video=video)


def sighted(*spots: Spot) -> list[Detections]:
    return [
        Detections(Detector.YOLO, np.array([(x, y, x + side, y + side)], np.float32), np.full(1, 0.7, np.float32))
        for x, y, side in spots
    ]


@pytest.fixture
def screener() -> SpotScreener:
    return SpotScreener()


@pytest.fixture
def stage(screener: SpotScreener) -> ScreeningStage:
    made = ScreeningStage(lambda: screener, PipelineSettings(), Mode.STANDARD)
    made.open()
    return made


def states(screened: Screened) -> list[TrackState]:
    return [track.state for track in screened.tracks]


def middles(screened: Screened) -> list[tuple[float, float]]:
    return [((t.box[0] + t.box[2]) / 2, (t.box[1] + t.box[3]) / 2) for t in screened.tracks]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "rgb24"])
def test_a_far_face_that_was_sighted_once_is_kept_on_every_frame_where_it_goes(
    stage: ScreeningStage, pixel_format: str
) -> None:
    far = [(300 + 3.0 * i, 200 + 1.5 * i, FAR_SIDE) for i in range(60)]
    assert stage.process(shown(0, far[0], pixel_format=pixel_format)).tracks == ()
    stage.process(shown(1, far[1], pixel_format=pixel_format), sighted(far[0]))
    for index in range(2, 60):
        screened = stage.process(shown(index, far[index], pixel_format=pixel_format))
        assert states(screened) == [TrackState.CONFIRMED], index
        assert screened.tracks[0].id == 1
        assert screened.tracks[0].detector is Detector.MEDIAPIPE
        assert screened.tracks[0].keypoints is not None
        x, y, side = far[index]
        assert middles(screened)[0] == pytest.approx((x + side / 2, y + side / 2), abs=4)
        assert screened.tracks[0].box[2] - screened.tracks[0].box[0] == pytest.approx(side, abs=4)


def test_a_stage_that_does_not_look_closely_loses_it(screener: SpotScreener) -> None:
    stage = ScreeningStage(lambda: screener, PipelineSettings())
    stage.open()
    far = (300.0, 200.0, FAR_SIDE)
    stage.process(shown(0, far), sighted(far))
    tracks = [len(stage.process(shown(index, far)).tracks) for index in range(1, 90)]
    assert not any(tracks)
    assert screener.calls == 90


def test_a_face_seen_in_the_whole_picture_is_one_track_and_costs_no_region(
    stage: ScreeningStage, screener: SpotScreener
) -> None:
    near = (100.0, 100.0, NEAR_SIDE)
    for index in range(10):
        screened = stage.process(shown(index, near), sighted(near))
    assert states(screened) == [TrackState.CONFIRMED]
    assert screener.calls == 10


def test_near_and_far_faces_are_kept_side_by_side(stage: ScreeningStage) -> None:
    near, far = (50.0, 100.0, NEAR_SIDE), (500.0, 60.0, FAR_SIDE)
    stage.process(shown(0, near, far), sighted(far))
    for index in range(1, 30):
        screened = stage.process(shown(index, near, far))
        assert states(screened) == [TrackState.CONFIRMED] * 2
    assert sorted(middles(screened)) == [pytest.approx((150, 200), abs=4), pytest.approx((515, 75), abs=4)]


def test_a_face_that_left_is_not_looked_for_for_long(stage: ScreeningStage, screener: SpotScreener) -> None:
    far = (300.0, 200.0, FAR_SIDE)
    for index in range(5):
        stage.process(shown(index, far), sighted(far) if index == 0 else ())
    remaining = [len(stage.process(shown(index)).tracks) for index in range(5, 60)]
    assert remaining[0] == 1
    assert remaining[-1] == 0
    calls = screener.calls
    stage.process(shown(60))
    assert screener.calls == calls + 1


def test_what_the_screener_cannot_see_even_closely_lives_from_sighting_to_sighting(stage: ScreeningStage) -> None:
    """A sweep a second keeps a face that only the far detector sees."""
    unseen = (300.0, 200.0, FAR_SIDE)
    reported: list[Sequence[TrackState]] = []
    for index in range(150):
        screened = stage.process(shown(index), sighted(unseen) if index % 30 == 0 else ())
        reported.append(states(screened))
    assert reported[29] == []
    assert all(len(found) == 1 for found in reported[30:])
    assert {track.detector for track in screened.tracks} == {Detector.YOLO}


def test_the_cost_of_a_frame_is_bounded_and_many_far_faces_take_turns(
    stage: ScreeningStage, screener: SpotScreener
) -> None:
    crowd = [(40 + 110.0 * column, 40 + 110.0 * row, FAR_SIDE) for row in range(4) for column in range(5)]
    stage.process(shown(0, *crowd), sighted(*crowd))
    for index in range(1, 40):
        before = screener.calls
        screened = stage.process(shown(index, *crowd), sighted(*crowd) if index == 30 else ())
        assert screener.calls - before <= 1 + MAX_REGIONS + MAX_NEW_REGIONS
    assert len(screened.tracks) == len(crowd)
    assert {track.id for track in screened.tracks} == set(range(1, len(crowd) + 1))


def test_a_cut_is_a_new_scene_and_motion_is_none(stage: ScreeningStage) -> None:
    changed = [
        stage.process(shown(index, (10.0 * index, 100.0, NEAR_SIDE), level=40 if index < 10 else 150)).scene_changed
        for index in range(20)
    ]
    assert [index for index, is_new in enumerate(changed) if is_new] == [10]


def test_every_step_is_timed(stage: ScreeningStage) -> None:
    timing_ms = stage.process(shown(0)).timing_ms
    assert {"decode", "wait", "convert", "screen", "regions", "track", "shots"} == set(timing_ms)


def test_a_screener_that_takes_pictures_of_any_size_is_shown_regions_too() -> None:
    far = (10.0, 10.0, 20.0, 20.0)
    screener = ScriptedScreener([[], [], [(48.0, 48.0, 80.0, 80.0)]])
    stage = ScreeningStage(lambda: screener, PipelineSettings(), Mode.STANDARD)
    stage.open()
    stage.process(frame(0), [Detections(Detector.YOLO, np.array([far], np.float32), np.ones(1, np.float32))])
    (track,) = stage.process(frame(1)).tracks
    assert screener.calls == 3
    assert track.box == pytest.approx((12.5, 12.5, 17.5, 17.5), abs=1)


def test_a_far_face_has_the_box_of_the_close_look_even_if_the_whole_picture_shows_it() -> None:
    wide, close = (22.0, 14.0, 42.0, 34.0), (32.0, 32.0, 96.0, 96.0)
    screener = ScriptedScreener([[(28.0, 20.0, 36.0, 28.0)], *([[wide], [close]] * 10)])
    stage = ScreeningStage(lambda: screener, PipelineSettings(), Mode.STANDARD)
    stage.open()
    for index in range(8):
        tracks = stage.process(frame(index)).tracks
    assert [track.state for track in tracks] == [TrackState.CONFIRMED]
    assert tracks[0].box == pytest.approx((28, 20, 36, 28), abs=1)


def test_close_frees_the_screener_once() -> None:
    screener = ScriptedScreener()
    stage = ScreeningStage(lambda: screener, PipelineSettings())
    stage.close()
    assert not screener.closed
    stage.open()
    stage.close()
    assert screener.closed
