"""Decoding processes that crash, hang, lie, eat memory, and lose their parent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamapp.errors import SourceDecoderFailed, SourceEnded, SourceError, SourceTimeout
from streamapp.results import DropReason
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, SourceState, SourceStatus
from streamapp.sources.child import reader as child
from streamapp.sources.child.messages import Request
from streamapp.sources.open import open_source
from streamapp.sources.reading import Opening
from streamapp.sources.supervise import supervise
from tests.coded_video import h264_pictures
from tests.decoding_processes import decoding_processes, is_running
from tests.fakes import CollectingOutlet
from tests.rtsp_server import FakeCamera
from tests.waiting import until

pytestmark = pytest.mark.skipif(not child.AVAILABLE, reason="decoding processes need Linux")

ROOT = Path(__file__).parents[3]
SETTINGS = SourceSettings(open_timeout_s=5, read_timeout_s=1, backoff_s=(0.2,), backoff_jitter=0)


class LatestOutlet(CollectingOutlet):
    """Keeps no pictures, as the app does."""

    def __init__(self) -> None:
        super().__init__(wants_encoded=True)
        self.indices: list[int] = []
        self.times_s: list[float] = []

    def offer(self, frame: object) -> None:
        self.indices.append(frame.index)  # type: ignore[attr-defined]  # a Frame
        self.times_s.append(frame.pts_s)  # type: ignore[attr-defined]  # a Frame


@contextlib.asynccontextmanager
async def watched(
    camera: FakeCamera, settings: SourceSettings = SETTINGS
) -> AsyncIterator[tuple[LatestOutlet, list[SourceStatus]]]:
    """A supervised camera."""
    outlet, statuses, numbering = LatestOutlet(), list[SourceStatus](), FrameNumbering("cam")
    run = asyncio.ensure_future(
        supervise(lambda: open_source(camera.url, numbering, settings), outlet, numbering, settings, statuses.append)
    )
    try:
        yield outlet, statuses
    finally:
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run


def has_frames(outlet: LatestOutlet) -> bool:
    return len(outlet.indices) >= 2


async def the_process() -> int:
    await until(lambda: len(decoding_processes()) == 1)
    return decoding_processes()[0]


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "crashed (SIGKILL)"), (signal.SIGSEGV, "crashed (SIGSEGV)"),
                           (signal.SIGSTOP, "hangs")]
)  # fmt: skip
async def test_a_crash_or_a_hang_costs_one_connection(number: signal.Signals, reason: str) -> None:
    async with FakeCamera(h264_pictures(300)).serve() as camera, watched(camera) as (outlet, statuses):
        await until(lambda: len(outlet.indices) >= 10)
        pid = await the_process()
        os.kill(pid, number)
        await until(lambda: statuses[-1].state is SourceState.RECONNECTING)
        assert statuses[-1].code == "source_decoder_failed"
        assert reason in (statuses[-1].reason or "")
        lost_at = len(outlet.indices)
        await until(lambda: len(outlet.indices) >= lost_at + 10)
        assert not is_running(pid)
        assert len(decoding_processes()) == 1
    states = [state for state, _ in itertools.groupby(status.state for status in statuses)]
    assert states == ["connecting", "live", "reconnecting", "live", "closed"]
    assert outlet.indices == sorted(set(outlet.indices))
    assert all(before < after for before, after in itertools.pairwise(outlet.times_s))
    assert decoding_processes() == []


async def test_a_process_that_takes_too_much_memory_is_ended_and_says_so() -> None:
    pictures = h264_pictures(60, width=1920, height=1088)
    settings = SETTINGS.model_copy(update={"decoder_memory_mb": 16})
    async with FakeCamera(pictures).serve() as camera:
        with pytest.raises(SourceDecoderFailed, match="more memory"):
            await open_source(camera.url, FrameNumbering("cam"), settings).run(LatestOutlet())
    assert decoding_processes() == []


async def test_what_the_app_has_not_taken_is_no_reason_to_wait() -> None:
    outlet = CollectingOutlet()  # keeps every picture
    async with FakeCamera(h264_pictures(90), fps=90).serve() as camera:
        run = asyncio.ensure_future(open_source(camera.url, FrameNumbering("cam"), SETTINGS).run(outlet))
        await until(lambda: len(outlet.frames) + outlet.dropped[DropReason.STALE] >= 85)
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
    assert len(outlet.frames) > 60


async def test_the_camera_is_taken_leave_of() -> None:
    async with FakeCamera(h264_pictures(300)).serve() as camera:
        async with watched(camera) as (outlet, _):
            await until(lambda: len(outlet.indices) >= 5)
        await until(lambda: any(request.startswith("TEARDOWN") for request in camera.requests))


async def test_twenty_cameras_come_and_go_and_leave_nothing() -> None:
    def standing() -> tuple[int, int, int]:
        gc.collect()
        maps = Path("/proc/self/maps").read_text().count("streamapp-pictures")
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), maps

    async with FakeCamera(h264_pictures(300)).serve() as camera:
        before = standing()
        for _ in range(20):
            async with watched(camera) as (outlet, _):
                await until(functools.partial(has_frames, outlet))
        await until(lambda: all(now <= then for now, then in zip(standing(), before, strict=True)))
    assert decoding_processes() == []


async def test_a_killed_app_takes_its_decoders_with_it() -> None:
    program = """
import asyncio, sys
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering
from streamapp.sources.open import open_source
from tests.sources.child.test_reader import LatestOutlet

class Telling(LatestOutlet):
    def connected(self):
        print("live", flush=True)

asyncio.run(open_source(sys.argv[1], FrameNumbering("cam"), SourceSettings()).run(Telling()))
"""
    async with FakeCamera(h264_pictures(900)).serve() as camera:
        app = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, camera.url),
            stdout=PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert app.stdout is not None
        async with asyncio.timeout(60):
            assert await app.stdout.readline() == b"live\n"
        (decoder,) = decoding_processes(app.pid)
        app.kill()
        await app.wait()
        await until(lambda: not is_running(decoder), 2)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PROGRAM", "tests.hostile_decoder")


async def outcome_of(what: str, outlet: CollectingOutlet | None = None) -> SourceError:
    """How it ends with a process in the hands of somebody else."""
    opening = Opening(what, "rtsp://camera/x", "rtsp", {}, 1.0, 0.2, 10_000)
    with pytest.raises(SourceError) as caught:
        await child.read_in_process(
            Request(opening, 10**9, 554), outlet or CollectingOutlet(wants_encoded=True), FrameNumbering("cam")
        )
    assert decoding_processes() == []
    return caught.value


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "what",
    [
        "noise once open",
        "endless length",
        "a picture before it is open",
        "opened twice",
        "a slot twice",
        "a slot beyond the last",
        "coded before decoded",
    ],
)
async def test_nonsense_ends_the_process(what: str) -> None:
    error = await outcome_of(what)
    assert type(error) is SourceDecoderFailed
    assert "makes no sense" in str(error)


@pytest.mark.usefixtures("hostile")
async def test_noise_and_half_sentences_end_the_process() -> None:
    for what in ("noise", "half a message"):
        assert type(await outcome_of(what)) is SourceDecoderFailed


@pytest.mark.usefixtures("hostile")
async def test_a_process_that_hangs_is_told_from_a_camera_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "HANG_MARGIN_S", 0.1)
    assert type(await outcome_of("hang")) is SourceDecoderFailed
    assert type(await outcome_of("silence")) is SourceTimeout


@pytest.mark.usefixtures("hostile")
async def test_its_errors_are_shown_as_one_line_without_secrets() -> None:
    error = await outcome_of("an unknown error")
    assert type(error) is SourceError
    assert str(error) == r"rtsp://***@h/ \x1b[31mred\nline"


@pytest.mark.usefixtures("hostile")
async def test_lost_pictures_are_counted_and_leave_a_gap() -> None:
    outlet = CollectingOutlet()
    numbering_left = await outcome_of("lost pictures", outlet)
    assert type(numbering_left) is SourceEnded
    assert [frame.index for frame in outlet.frames] == [0]
    assert outlet.dropped == {DropReason.STALE: 5}


@pytest.mark.usefixtures("hostile")
async def test_nothing_of_our_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_GALLERY__KEY", "secret")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/cert.pem")
    names = str(await outcome_of("environment")).split(",")
    assert set(names) <= {"LC_CTYPE", "MALLOC_ARENA_MAX", "PYTHONPATH", *child.INHERITED}
    assert "SSL_CERT_FILE" in names


@pytest.mark.usefixtures("hostile")
async def test_no_process_to_be_had_is_an_error_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert type(await outcome_of("noise")) is SourceDecoderFailed


async def test_the_program_imports_little() -> None:
    code = "import sys, streamapp.sources.child.program; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stdout=PIPE)
    loaded = set((await process.communicate())[0].decode().split())
    assert "av" in loaded
    assert not loaded & {"numpy", "cv2", "pydantic", "asyncio", "streamapp.frame", "streamapp.results"}
