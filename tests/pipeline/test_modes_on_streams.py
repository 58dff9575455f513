"""Real clips and real weights through whole streams, in the deeper modes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from streamapp.assets import asset
from streamapp.errors import ModelMissing
from streamapp.faces import Detector, Mode, TrackState
from streamapp.geometry import pairwise_iou
from streamapp.models import Models
from streamapp.pipeline.session import StreamSession
from streamapp.results import Analysis, FrameResult
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.sources.base import Pace, SourceState
from streamapp.sources.file import FileSource
from streamapp.zoo.registry import open_screener
from tests.coded_video import PAN_FRAMES, write_pan
from tests.fakes import CollectingSink
from tests.sessions import faces_in, picture
from tests.weights import models_folder

pytestmark = [pytest.mark.weights]

DEMO = asset("recordings/demo.mp4")
SETTLED_FRAME = 8
"""By when six new faces have been looked at closely often enough."""


async def ran(
    clip: Path, folder: Path, mode: Mode, max_frames: int | None = None
) -> tuple[StreamSession, list[FrameResult]]:
    """A whole clip, losslessly."""
    settings = Settings(models=ModelSettings(dir=folder))
    missing: ModelMissing | None = None
    async with Models.start(settings) as models:
        session = StreamSession(
            "clip",
            lambda numbering: FileSource(clip, numbering, settings.sources, pace=Pace.ASAP),
            mode=mode,
            settings=settings,
            make_screener=lambda: open_screener(settings),
            models=models,
            max_frames=max_frames,
            lossless=True,
        )
        sink = CollectingSink()
        session.attach(sink)
        try:
            await session.run()
        except ModelMissing as error:
            missing = error  # raised outside the task group, which would wrap it
    if missing is not None:
        raise missing
    return session, [output.result for output in sink.outputs]


def decided(results: list[FrameResult]) -> list[str]:
    """The lines of the results but for what is measured by a clock."""
    lines = []
    for result in results:
        told = json.loads(result.to_json())
        del told["timing_ms"], told["captured_at"]
        lines.append(json.dumps(told))
    return lines


async def test_a_recording_in_full_mode_is_whole_explained_and_the_same_every_time(tmp_path: Path) -> None:
    folder = models_folder(tmp_path)
    session, results = await ran(DEMO, folder, Mode.FULL, max_frames=240)
    assert [result.frame for result in results] == list(range(240))
    assert session.status.state is SourceState.CLOSED
    assert not session.dropped

    keyframes = [(result.frame, result.keyframe.reasons) for result in results if result.keyframe]
    assert keyframes[0] == (0, ("interval",))
    assert {"new_track", "interval"} <= {reason for _, reasons in keyframes for reason in reasons}
    assert session.escalator is not None
    assert session.escalator.keyframes == Counter(reason for _, reasons in keyframes for reason in reasons)

    tracked = [(result, track) for result in results for track in result.tracks]
    assert len(tracked) > 60
    kinds = {kind for _, track in tracked for kind in track.analyses}
    assert {"identity", "liveness", "gender_age"} <= kinds
    by_track: dict[int, list[int]] = {}
    for result, track in tracked:
        for analysis in track.analyses.values():
            assert isinstance(analysis, Analysis)
            assert analysis.samples >= 1
            assert analysis.frame <= result.frame
            assert analysis.age_s == pytest.approx(result.pts_s - results[analysis.frame].pts_s, abs=0.002)
        if "liveness" in track.analyses:
            by_track.setdefault(track.id, []).append(track.analyses["liveness"].samples)
    assert all(samples == sorted(samples) for samples in by_track.values())
    assert max(max(samples) for samples in by_track.values()) >= 2

    _, again = await ran(DEMO, folder, Mode.FULL, max_frames=240)
    assert decided(again) == decided(results)


async def test_landmarks_and_answers_do_not_flicker_between_keyframes(tmp_path: Path) -> None:
    _, results = await ran(DEMO, models_folder(tmp_path), Mode.PRECISION, max_frames=240)
    shown: dict[int, list[bool]] = {}
    for result in results:
        for track in result.tracks:
            shown.setdefault(track.id, []).append(track.landmarks is not None)
    longest = max(shown.values(), key=len)
    assert len(longest) > 60
    first = longest.index(True)
    assert first <= 31
    assert all(longest[first:])
    assert all(not track.analyses for result in results for track in result.tracks)


@pytest.mark.media
async def test_far_faces_that_yolo_found_are_kept_on_every_frame_while_the_camera_pans(tmp_path: Path) -> None:
    rgb = picture("groups/facenet_pytorch_multiface.jpg")
    expected = faces_in(rgb).boxes
    clip = write_pan(tmp_path / "pan.mp4", rgb)
    (tmp_path / "models").mkdir()
    folder = models_folder(tmp_path / "models")

    _, fast = await ran(clip, folder, Mode.FAST)
    assert max(len(result.tracks) for result in fast) < len(expected), "some are too far for the screener"

    session, results = await ran(clip, folder, Mode.STANDARD)
    assert len(results) == PAN_FRAMES
    keyframes = [(result.frame, result.keyframe.reasons) for result in results if result.keyframe]
    assert keyframes == [(0, ("interval",)), (30, ("interval",)), (60, ("interval",))]
    widths: dict[int, list[float]] = {}
    for result in results[4:]:
        boxes = np.array([track.box for track in result.tracks], np.float32)
        there = expected - np.array((2 * result.frame, 0) * 2, np.float32)
        assert len(boxes) == len(expected), result.frame
        assert pairwise_iou(there, boxes).max(axis=1).min() > 0.5, result.frame
        for track in result.tracks:
            assert (track.state, track.detector) == (TrackState.CONFIRMED, Detector.MEDIAPIPE)
            if result.frame >= SETTLED_FRAME:
                widths.setdefault(track.id, []).append(track.box[2] - track.box[0])
    assert len(widths) == len(expected)
    for of_face in widths.values():
        assert np.ptp(of_face) < 0.2 * np.median(of_face), "boxes do not swing"
    assert not session.dropped


async def test_a_stream_whose_mode_lacks_a_model_ends_with_its_name(tmp_path: Path) -> None:
    folder = models_folder(tmp_path)
    for link in folder.glob("yolo*"):
        link.unlink()
    with pytest.raises(ModelMissing, match=r"mode standard needs it: .*streamapp models pull yolov10n-face"):
        await ran(DEMO, folder, Mode.STANDARD)
