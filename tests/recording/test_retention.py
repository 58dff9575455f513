"""What is too old or too much goes, oldest first; never what is being written; clocks that jump cost nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from streamapp.faces import Mode
from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.recording.recordings import Recordings
from streamapp.recording.retention import DAY_S, Ages, expired
from streamapp.sections import RecordingSettings
from tests.fakes import NumberedSource
from tests.recording.recorded import streaming
from tests.waiting import until

NOW = 1_800_000_000.0


class Clocks:
    """A wall clock that can be set, and one that only runs."""

    def __init__(self) -> None:
        self.wall_s = NOW
        self.running_s = 5000.0

    def run(self, seconds: float) -> None:
        self.wall_s += seconds
        self.running_s += seconds

    def ages(self) -> Ages:
        return Ages(lambda: self.wall_s, lambda: self.running_s)


def entry(age_days: float | None, size: int = 100, at: float = NOW) -> RecordingEntry:
    ended_at = None if age_days is None else at - age_days * DAY_S
    return RecordingEntry(
        id=uuid4(),
        stream="cam",
        source="test",
        mode=Mode.FAST,
        started_at=(ended_at or at) - 60,
        ended_at=ended_at,
        state=RecordingState.RECORDING if ended_at is None else RecordingState.COMPLETE,
        bytes=size,
    )


def settings(days: float | None = 30, size: int | None = None) -> RecordingSettings:
    return RecordingSettings(max_age_days=days, max_bytes=size)


def ids(entries: list[RecordingEntry]) -> list[UUID]:
    return [one.id for one in entries]


def test_old_ones_go_and_young_ones_stay() -> None:
    old, young, older = entry(31), entry(29), entry(400)
    assert ids(expired([old, young, older], Clocks().ages(), settings())) == ids([older, old])
    assert expired([old, young, older], Clocks().ages(), settings(days=None)) == []


def test_the_oldest_go_until_the_rest_fits() -> None:
    entries = [entry(days, size=100) for days in (1, 4, 2, 3)]
    assert ids(expired(entries, Clocks().ages(), settings(size=250))) == ids([entries[1], entries[3]])
    assert expired(entries, Clocks().ages(), settings(size=400)) == []


def test_one_that_is_being_written_never_goes_but_counts() -> None:
    writing, done = entry(None, size=1000), entry(1, size=10)
    assert ids(expired([writing, done], Clocks().ages(), settings(size=500))) == ids([done])


def test_time_that_really_passes_counts() -> None:
    clocks, one = Clocks(), entry(0)
    ages = clocks.ages()
    assert expired([one], ages, settings()) == []
    clocks.run(30 * DAY_S + 1)
    assert ids(expired([one], ages, settings())) == ids([one])


@pytest.mark.parametrize("jump_s", [3600, 400 * DAY_S])
def test_a_clock_set_ahead_deletes_nothing_early(jump_s: float) -> None:
    clocks, one = Clocks(), entry(29)
    ages = clocks.ages()
    assert expired([one], ages, settings()) == []
    clocks.wall_s += jump_s
    assert expired([one], ages, settings()) == []
    clocks.run(0.9 * DAY_S)
    assert expired([one], ages, settings()) == []
    clocks.run(0.2 * DAY_S)
    assert ids(expired([one], ages, settings())) == ids([one])


@pytest.mark.parametrize("wall_s", [0.0, NOW - 3600, NOW - 400 * DAY_S])
def test_a_clock_set_back_deletes_nothing_early(wall_s: float) -> None:
    clocks, one = Clocks(), entry(29.99)
    ages = clocks.ages()
    ages.age_s(one)
    clocks.wall_s = wall_s
    clocks.running_s += 600
    assert expired([one], ages, settings()) == []


def test_a_recording_from_the_future_ages_from_when_it_was_first_seen() -> None:
    clocks, one = Clocks(), entry(-5000)
    ages = clocks.ages()
    assert expired([one], ages, settings()) == []
    clocks.run(31 * DAY_S)
    assert ids(expired([one], ages, settings())) == ids([one])


async def test_the_job_removes_files_and_leaves_what_is_on_alone(tmp_path: Path) -> None:
    async with streaming(tmp_path, lambda n: NumberedSource(n, codec="h264"), max_bytes=1) as stream:
        first = await stream.start()
        await stream.until_seconds(0.5)
        await stream.recordings.stop(stream.session)
        second = await stream.start()
        await stream.until_seconds(0.5)
        removed = await stream.recordings.retain()
        assert ids(removed) == [first.id]
        assert [path.name for path in stream.settings.recording.dir.iterdir()] == [str(second.id)]
        assert await stream.recordings.retain() == []
        assert stream.recordings.figures.removed == 1
        assert stream.recordings.figures.kept_bytes > 0


async def test_the_job_runs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamapp.recording.recordings.RETENTION_INTERVAL_S", 0.01)
    root = tmp_path / "recordings"
    clocks = Clocks()
    old, young = entry(10), entry(1)
    for one in (old, young):
        (root / str(one.id)).mkdir(parents=True)
        one.save(root / str(one.id))
    recordings = Recordings(
        RecordingSettings(dir=root, max_age_days=5), wall=lambda: clocks.wall_s, monotonic=lambda: clocks.running_s
    )
    async with recordings.kept():
        await until(lambda: [path.name for path in root.iterdir()] == [str(young.id)])
        clocks.run(5 * DAY_S)
        await until(lambda: not list(root.iterdir()))
    assert list(root.iterdir()) == []
