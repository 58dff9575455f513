"""SIGKILL at any moment costs at most two seconds, and the next start makes good recordings of what is left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av.error
import pytest

from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.recording.library import CUT_OFF
from tests.recording.killed import Killed, Kind, adopt, kill_recordings
from tests.recording.recorded import decoded, pictures_by_time, results_in, settings_for

MAX_LOSS_S = 2.0
KILLS = 6


@pytest.mark.parametrize("kind", Kind)
def test_at_most_two_seconds_are_lost(tmp_path: Path, kind: Kind) -> None:
    losses_s = [check(killed) for killed in kill_recordings(kind, tmp_path, seed=7, count=KILLS)]
    assert len(losses_s) == KILLS
    print(f"{kind}: lost", ", ".join(f"{loss:.2f}" for loss in sorted(losses_s)), "s")
    assert max(losses_s) <= MAX_LOSS_S, losses_s


def check(killed: Killed) -> float:
    """Seconds of video and results lost."""
    (folder,) = settings_for(killed.root).recording.dir.iterdir()
    left = readable(folder / RecordingEntry.load(folder).parts[-1].file)
    recordings = adopt(killed.root)
    (entry,) = asyncio.run(recordings.entries())
    assert (entry.state, entry.reason) == (RecordingState.COMPLETE, CUT_OFF)
    if not left:  # killed before the first fragment
        assert entry.parts == ()
        assert [file.name for file in folder.iterdir() if "video" in file.name] == []
        return killed.analysed_s
    pictures = pictures_by_time(folder, entry)
    assert left <= len(pictures) == entry.parts[-1].pictures  # what can be read before is still there
    assert entry.seconds == pytest.approx(pictures[-1][0] - entry.parts[0].start_pts_s + 1 / 30, abs=0.05)
    times_s = [time_s for time_s, _ in pictures]
    results = results_in(folder)
    assert len(results) == entry.results > 0
    for result in results:
        assert min(abs(time_s - result.pts_s) for time_s in times_s) < 0.5 / 30
    return killed.analysed_s - (min(times_s[-1], results[-1].pts_s) - entry.parts[0].start_pts_s)


def readable(video: Path) -> int:
    try:
        return len(list(decoded(video)))
    except av.error.InvalidDataError:
        return 0


def test_adopting_twice_changes_nothing(tmp_path: Path) -> None:
    (killed,) = kill_recordings(Kind.H264, tmp_path, seed=1, count=1)
    check(killed)
    (folder,) = settings_for(killed.root).recording.dir.iterdir()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    adopt(killed.root)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
