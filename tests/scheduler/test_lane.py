from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamapp.errors import ModelHung, ModelInvalid
from streamapp.scheduler.lane import NICENESS, Lane
from tests.waiting import until, until_sync

CHECKOUT = Path(__file__).parent.parent.parent
NAMES = (f"lane-under-test-{number}" for number in range(1000))


def nobody() -> None:
    raise AssertionError("it was not late")


def threads_of(lane: Lane) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(lane.name)]


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    lane = Lane(next(NAMES))
    yield lane
    lane.close()
    await until(lambda: not threads_of(lane))


async def test_work_runs_on_one_thread_that_is_not_the_loops(lane: Lane) -> None:
    threads = {await lane.run(threading.get_ident, timeout_s=10, on_late_return=nobody) for _ in range(3)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_errors_of_the_work_are_raised_as_they_are(lane: Lane) -> None:
    error = ModelInvalid("broken")

    def fail() -> None:
        raise error

    with pytest.raises(ModelInvalid) as caught:
        await lane.run(fail, timeout_s=10, on_late_return=nobody)
    assert caught.value is error
    assert lane.replaced == 0


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_what_would_end_the_loop_or_not_pass_through_it_is_told_in_words(
    lane: Lane, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await lane.run(fail, timeout_s=10, on_late_return=nobody)
    assert await lane.run(lambda: 1, timeout_s=10, on_late_return=nobody) == 1


async def test_a_call_that_does_not_answer_is_left_behind_and_the_lane_goes_on(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    gate, late = threading.Event(), []
    with pytest.raises(ModelHung, match=r"0\.05 s"):
        await lane.run(gate.wait, timeout_s=0.05, on_late_return=lambda: late.append(threading.get_ident()))
    assert lane.replaced == 1
    assert "goes on with a new thread" in caplog.text
    assert await lane.run(lambda: "next", timeout_s=10, on_late_return=nobody) == "next"
    assert late == []
    gate.set()
    await until(lambda: late)
    assert late == [threading.get_ident()]
    await until(lambda: len(threads_of(lane)) == 1)


async def test_a_late_error_is_a_late_return(lane: Lane) -> None:
    gate, late = threading.Event(), []

    def fail() -> None:
        gate.wait()
        raise ModelInvalid("broken")

    with pytest.raises(ModelHung):
        await lane.run(fail, timeout_s=0.02, on_late_return=lambda: late.append(True))
    gate.set()
    await until(lambda: late)


async def test_a_cancelled_call_is_left_behind_too(lane: Lane) -> None:
    gate, begun, late = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        gate.wait()

    call = asyncio.create_task(lane.run(work, timeout_s=10, on_late_return=lambda: late.append(True)))
    await until(begun.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert lane.replaced == 1
    assert await lane.run(lambda: 1, timeout_s=10, on_late_return=nobody) == 1
    assert late == []
    gate.set()
    await until(lambda: late)


async def test_an_idle_lane_holds_on_to_nothing_of_its_last_work(lane: Lane) -> None:
    class Picture:
        def size(self) -> int:
            return 1

    picture = Picture()
    seen = weakref.ref(picture)
    assert await lane.run(picture.size, timeout_s=10, on_late_return=nobody) == 1
    del picture

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    await until(is_gone)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
async def test_its_thread_is_nicer_than_the_loops(lane: Lane) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = niceness()
    assert await lane.run(niceness, timeout_s=10, on_late_return=nobody) == max(here, NICENESS)
    assert niceness() == here


def test_a_call_that_returns_after_the_loop_has_ended_disturbs_nobody() -> None:
    gate, lane = threading.Event(), Lane(next(NAMES))

    async def hang() -> None:
        with pytest.raises(ModelHung):
            await lane.run(gate.wait, timeout_s=0.02, on_late_return=nobody)
        lane.close()

    asyncio.run(hang())
    gate.set()
    until_sync(lambda: not threads_of(lane))


def test_a_hung_call_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from streamapp.errors import ModelHung
from streamapp.scheduler.lane import Lane

async def main():
    lane = Lane("lane")
    try:
        await lane.run(threading.Event().wait, timeout_s=0.05, on_late_return=print)
    except ModelHung:
        print("hung")

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "hung\n"), ended.stderr


def test_a_call_at_work_is_given_a_moment_at_the_end_of_the_process() -> None:
    """A library that is taken down while it loads a model may fail hard."""
    program = """
import asyncio, contextlib, time
from streamapp.scheduler.lane import Lane

def load():
    time.sleep(0.5)
    print("loaded")

async def main():
    loading = asyncio.ensure_future(Lane("lane").run(load, timeout_s=60, on_late_return=lambda: None))
    await asyncio.sleep(0.1)
    loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading
    print("ended")

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "ended\nloaded\n"), ended.stderr
