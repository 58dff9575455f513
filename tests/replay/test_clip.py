"""A clip's pictures come under the index and time a session gave them; what is no clip is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from streamapp.errors import UsageError
from streamapp.faces import Mode
from streamapp.recording.entry import ENTRY_FILE, RESULTS_FILE, RecordingEntry
from streamapp.replay.clip import ClipSource, open_clip
from streamapp.results import FrameResult
from streamapp.sections import SourceSettings
from tests.coded_video import index_of, write_video
from tests.fakes import CollectingOutlet
from tests.replay.results_made import result

PICTURES = 12


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At 25 pictures a second, as `result` counts."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", PICTURES, fps=25)


def recording(folder: Path, video: Path, *starts_s: float) -> Path:
    """A recording's folder, of the same video several times."""
    parts = [(f"video-{number}.mp4", start) for number, start in enumerate(starts_s, 1)]
    for file, _ in parts:
        shutil.copy(video, folder / file)
    write_entry(folder, parts)
    return folder


def write_entry(folder: Path, parts: list[tuple[str, float]]) -> None:
    entry = RecordingEntry(id=uuid4(), stream="cam", source="demo", mode=Mode.FAST, started_at=0.0)
    told = entry.model_dump(mode="json")
    shown = {"codec": "h264", "encoded": False, "width": 64, "height": 48, "last_pts_s": 1, "seconds": 1, "pictures": 1}
    told["parts"] = [{"file": file, "start_pts_s": start_s, **shown} for file, start_s in parts]
    (folder / ENTRY_FILE).write_text(json.dumps(told))


async def delivered(path: Path, wanted: list[FrameResult] | None = None) -> list[tuple[int, float, int]]:
    """Index, time, and which picture of the video it is."""
    outlet = CollectingOutlet()
    await ClipSource(open_clip(path), "replay", SourceSettings(), wanted).run(outlet)
    return [(frame.index, frame.pts_s, index_of(frame.video)) for frame in outlet.frames]


async def test_a_file_gives_all_its_pictures(video: Path) -> None:
    assert await delivered(video) == [(index, index / 25, index) for index in range(PICTURES)]


async def test_of_a_session_only_the_frames_it_had_are_given_as_it_called_them(video: Path) -> None:
    wanted = [replace(result(index), frame=index + 40, pts_s=index / 25 + 0.0001) for index in (0, 3, 4, 9)]
    assert await delivered(video, wanted) == [(one.frame, one.pts_s, one.frame - 40) for one in wanted]


async def test_frames_that_the_clip_has_not_are_left_out(video: Path) -> None:
    wanted = [replace(result(frame), pts_s=pts_s) for frame, pts_s in enumerate((0.01, 0.04, 0.05, 0.08, 9.0))]
    assert [index for index, _, _ in await delivered(video, wanted)] == [1, 3]


async def test_the_parts_of_a_recording_follow_each_other_in_the_time_of_the_stream(
    tmp_path: Path, video: Path
) -> None:
    folder = recording(tmp_path, video, 7.5, 60.0)
    everything = await delivered(folder)
    assert [index for index, _, _ in everything] == list(range(2 * PICTURES))
    assert [pts_s for _, pts_s, _ in everything] == pytest.approx(
        [start + index / 25 for start in (7.5, 60.0) for index in range(PICTURES)]
    )
    wanted = [replace(result(200), pts_s=7.58), replace(result(900), pts_s=60.12)]
    assert await delivered(folder, wanted) == [(200, 7.58, 2), (900, 60.12, 3)]
    assert open_clip(folder).sidecar == folder / RESULTS_FILE


def test_what_is_no_clip_is_refused(tmp_path: Path, video: Path) -> None:
    with pytest.raises(UsageError, match="there is no clip"):
        open_clip(tmp_path / "absent.mp4")
    with pytest.raises(UsageError, match="not the folder of a recording"):
        open_clip(tmp_path)
    with pytest.raises(UsageError, match="has no video"):
        open_clip(recording(tmp_path, video))
    folder = recording(tmp_path, video, 0.0)
    (folder / "video-1.mp4").unlink()
    with pytest.raises(UsageError, match="has no video"):
        open_clip(folder)


def test_a_recording_names_no_file_elsewhere(tmp_path: Path, video: Path) -> None:
    write_entry(tmp_path, [(f"../{video.parent.name}/{video.name}", 0.0)])
    with pytest.raises(UsageError, match="not the folder of a recording"):
        open_clip(tmp_path)
