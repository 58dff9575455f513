"""When a source is tried again, when not, and what is said meanwhile. No time passes here."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence

import pytest

from streamapp.errors import (
    SourceAuthFailed,
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceTimeout,
    SourceUrlInvalid,
)
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, SourceState, SourceStatus
from streamapp.sources.supervise import supervise
from tests.fakes import CollectingOutlet, ScriptedSource
from tests.waiting import until

SETTINGS = SourceSettings(backoff_jitter=0)


class Script:
    """Runs `supervise` over sources that deliver so many frames each and then raise the given error. Ends with a
    source that cannot be retried."""

    def __init__(self, runs: Sequence[tuple[int, Exception | None]], *, live: bool = True) -> None:
        self.outlet = CollectingOutlet()
        self.numbering = FrameNumbering("cam")
        self.statuses: list[SourceStatus] = []
        self.waits_s: list[float] = []
        self._runs = iter([*runs, (0, SourceUrlInvalid("the end"))])
        self._live = live
        self._now = 1000.0

    def make(self) -> ScriptedSource:
        count, error = next(self._runs)
        return ScriptedSource(self.numbering, count, live=self._live, error=error)

    async def sleep(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)
        self._now += wait_s

    async def run(self, settings: SourceSettings = SETTINGS, *, jitter: float = 0.5) -> SourceError | None:
        return await supervise(
            self.make,
            self.outlet,
            self.numbering,
            settings,
            self.statuses.append,
            sleep=self.sleep,
            jitter=lambda: jitter,
            clock=lambda: self._now,
        )

    @property
    def states(self) -> list[str]:
        return [status.state.value for status in self.statuses]


async def test_waits_grow_to_the_last_one_and_begin_anew_after_success() -> None:
    refused = SourceRefused("nobody there")
    script = Script([(0, refused)] * 6 + [(1, refused), (0, refused)])
    await script.run()
    assert script.waits_s == [1, 2, 5, 10, 30, 30, 1, 2]


@pytest.mark.parametrize(("random", "expected_s"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
async def test_jitter_spreads_the_waits(random: float, expected_s: float) -> None:
    script = Script([(0, SourceRefused("x"))])
    await script.run(SourceSettings(backoff_jitter=0.2), jitter=random)
    assert script.waits_s == pytest.approx([expected_s])


async def test_a_camera_that_refuses_the_password_is_left_alone_for_a_minute() -> None:
    script = Script([(0, SourceAuthFailed("wrong"))] * 2)
    await script.run()
    assert script.waits_s == [60, 60]


async def test_every_change_is_reported_in_order_with_its_reason() -> None:
    script = Script([(0, SourceRefused("absent")), (2, SourceTimeout("silent")), (1, None)])
    await script.run()
    assert script.states == [
        "connecting", "connecting", "connecting", "live",
        "reconnecting", "reconnecting", "live",
        "reconnecting", "reconnecting", "failed",
    ]  # fmt: skip
    absent, silent, ended = script.statuses[1], script.statuses[4], script.statuses[7]
    assert (absent.code, absent.reason, absent.attempt, absent.retry_in_s) == ("source_refused", "absent", 1, 1)
    assert (silent.code, silent.attempt, silent.retry_in_s) == ("source_timeout", 1, 1)
    assert ended.code == "source_ended"
    retrying = script.statuses[5]
    assert (retrying.reason, retrying.retry_in_s) == ("silent", None)
    live = script.statuses[6]
    assert (live.code, live.reason, live.attempt, live.retry_in_s) == (None, None, 0, None)


async def test_a_state_keeps_the_time_since_which_it_holds() -> None:
    script = Script([(1, SourceRefused("x")), (0, SourceRefused("x")), (0, SourceRefused("x"))])
    await script.run()
    reconnecting = [status.since for status in script.statuses if status.state is SourceState.RECONNECTING]
    assert len(reconnecting) == 6
    assert set(reconnecting) == {1000.0}


async def test_numbering_goes_on_over_reconnects() -> None:
    script = Script([(3, SourceEnded("gone"))] * 3)
    await script.run()
    frames = script.outlet.frames
    assert [frame.index for frame in frames] == list(range(9))
    assert {frame.stream for frame in frames} == {"cam"}
    times_s = [frame.pts_s for frame in frames]
    assert all(earlier < later for earlier, later in itertools.pairwise(times_s))


async def test_what_cannot_be_mended_fails_at_once() -> None:
    script = Script([])
    error = await script.run()
    assert isinstance(error, SourceUrlInvalid)
    assert script.states == ["connecting", "failed"]
    assert script.waits_s == []


async def test_a_recording_ends_and_is_not_played_again() -> None:
    script = Script([(3, None)], live=False)
    assert await script.run() is None
    assert script.states == ["connecting", "live", "ended"]


async def test_a_recording_that_cannot_be_read_fails() -> None:
    script = Script([(0, SourceNotFound("no file"))], live=False)
    error = await script.run()
    assert isinstance(error, SourceNotFound)
    assert script.states == ["connecting", "failed"]


async def test_a_bug_in_a_source_is_shown_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    script = Script([(1, ZeroDivisionError("oops"))])
    assert isinstance(await script.run(), SourceError)
    assert script.states[-1] == "failed"
    assert script.statuses[-1].code == "internal"
    assert "ZeroDivisionError" in caplog.text


async def test_secrets_in_a_reason_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    script = Script([(0, SourceRefused("rtsp://admin:hunter2@cam/x does not answer"))])
    await script.run()
    assert script.statuses[1].reason == "rtsp://***@cam/x does not answer"


async def test_cancelling_while_waiting_closes() -> None:
    script = Script([(0, SourceRefused("x"))])
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(
        supervise(script.make, script.outlet, script.numbering, SETTINGS, script.statuses.append, sleep=sleep)
    )
    await until(waiting.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.states[-1] == "closed"


async def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="streamapp.sources.supervise"):
        await Script([(1, SourceTimeout("silent"))]).run()
    assert [record.getMessage() for record in caplog.records] == [
        "stream cam: connecting",
        "stream cam: live",
        "stream cam: silent; next try in 1.0 s",
        "stream cam: failed: the end",
    ]
