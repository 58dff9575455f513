"""The models' process, a real one: it starts, answers as this one would, ends, and comes back after it was killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from streamapp.choices import DeviceChoice
from streamapp.errors import DeviceLost, UsageError
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.hosting import client, process
from streamapp.hosting.client import RemoteScheduler
from streamapp.models import Models
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings, SchedulerSettings
from streamapp.settings import Settings
from streamapp.sources.open import open_source
from tests.sessions import picture
from tests.waiting import until, until_sync
from tests.weights import models_folder

PARENT = """
import asyncio, sys
from pathlib import Path
from streamapp.hosting.process import process_host
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings
from streamapp.settings import Settings

async def main():
    async with process_host(Settings(models=ModelSettings(dir=Path(sys.argv[1])))):
        print("up", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def settings(folder: Path, *, process: bool = True) -> Settings:
    return Settings(models=ModelSettings(dir=folder), scheduler=SchedulerSettings(process=process, budget_mb=1500))


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if process.PROGRAM in " ".join(child.cmdline())]


@asynccontextmanager
async def models(folder: Path) -> AsyncIterator[tuple[Models, psutil.Process]]:
    async with Models.start(settings(folder)) as started:
        (child,) = children()
        yield started, child
    assert not child.is_running()
    assert children() == []


@pytest.mark.weights
@pytest.mark.media
async def test_it_says_of_a_picture_what_this_process_would(tmp_path: Path) -> None:
    folder, rgb = models_folder(tmp_path), picture("groups/uniface_src_friends.jpg")
    async with Models.start(settings(folder, process=False)) as here:
        expected = await here.examine(rgb, Mode.FULL, client="test")
    async with models(folder) as (there, _):
        result = await there.examine(rgb, Mode.FULL, client="test")
        assert result.faces == expected.faces
        assert result.models == expected.models
        assert result.skipped == expected.skipped
        assert isinstance(there.scheduler, RemoteScheduler)
        await until(lambda: len(there.residency.snapshot().resident) == len(expected.models))
        await until(lambda: there.scheduler.state().operations["genderage-v1"].done == 1)
        assert there.residency.snapshot().committed_bytes > 0


@pytest.mark.weights
@pytest.mark.media
async def test_killed_under_way_it_comes_back_and_no_answer_is_lost(tmp_path: Path) -> None:
    rgb = picture("groups/uniface_src_friends.jpg")
    async with models(models_folder(tmp_path)) as (there, child):
        expected = await there.examine(rgb, Mode.FULL, client="test")
        asked = [asyncio.create_task(there.examine(rgb, Mode.FULL, client=f"test-{n}")) for n in range(3)]
        await until(lambda: isinstance(there.scheduler, RemoteScheduler) and there.scheduler.waiting > 0)
        child.kill()
        for result in await asyncio.gather(*asked):
            assert len(result.faces) == len(expected.faces)
            assert result.models == expected.models
            assert result.skipped == expected.skipped
        (second,) = children()
        assert second.pid != child.pid
        second.kill()
        await until(lambda: there.residency.snapshot().lost is not None)
        assert "SIGKILL" in (there.residency.snapshot().lost or "")
        await until(lambda: there.residency.snapshot().lost is None, timeout_s=30)
    # the block's own check looks at the first child; the last one is gone with it, too
    assert children() == []


@pytest.mark.weights
async def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey: Image = np.full((360, 640, 3), 128, np.uint8)
    async with models(models_folder(tmp_path)) as (there, child):
        monkeypatch.setattr(client, "SILENT_S", 3.0)
        before = there.residency.snapshot()
        await until(lambda: there.residency.snapshot() is not before)  # now it is waited for no longer than that
        child.suspend()
        result = await there.examine(grey, Mode.FAST, client="test")
        assert result.faces == ()
        assert not child.is_running()


@pytest.mark.weights
async def test_the_picture_goes_on_while_it_stands_still_is_killed_and_comes_back(tmp_path: Path) -> None:
    chosen = settings(models_folder(tmp_path))
    async with Runtime.start(chosen) as runtime:
        (child,) = children()
        session = runtime.open_stream(
            "demo", partial(open_source, "demo", settings=chosen.sources, loop=True), mode=Mode.FULL
        )
        escalator = session.escalator
        assert escalator is not None

        def done() -> int:
            return sum(state.done for state in runtime.models.scheduler.state().operations.values())

        await until(lambda: done() > 0, timeout_s=30)
        child.suspend()
        frames = session.frames
        await until(lambda: session.frames > frames + 30, timeout_s=30)
        child.kill()
        await until(lambda: runtime.models.residency.snapshot().lost is not None)
        await until(lambda: runtime.models.residency.snapshot().lost is None, timeout_s=30)
        escalator.ask()
        await until(lambda: done() > 0, timeout_s=30)
        assert session.error is None


async def test_it_needs_no_weights_to_start_and_ends_when_told(tmp_path: Path) -> None:
    async with models(tmp_path) as (there, child):
        assert there.residency.snapshot().resident == ()
        assert child.is_running()


async def test_what_it_cannot_start_for_is_said(tmp_path: Path) -> None:
    wanted = SchedulerSettings(device=DeviceChoice.CUDA, device_id=4711, process=True)
    with pytest.raises(DeviceLost):
        async with process.process_host(Settings(models=ModelSettings(dir=tmp_path), scheduler=wanted)):
            pass
    assert children() == []


async def test_where_it_cannot_be_had_the_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "AVAILABLE", False)
    with pytest.raises(UsageError, match="Linux"):
        async with process.process_host(settings(tmp_path)):
            pass


def test_it_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    until_sync(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_settings_with_secrets_are_in_no_argument(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        (child,) = psutil.Process(parent.pid).children()
        assert str(tmp_path) not in " ".join(child.cmdline())
        parent.terminate()
    until_sync(lambda: not child.is_running())
