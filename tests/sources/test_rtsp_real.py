"""A real RTSP server (GStreamer): killed, stalled, brought back, protected, resized."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import SourceAuthFailed, SourceNotFound, SourceRefused
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, SourceState, SourceStatus
from streamapp.sources.open import open_source
from streamapp.sources.supervise import supervise
from tests.fakes import CollectingOutlet
from tests.rtsp_server import GstServer, gst_server
from tests.waiting import until

pytestmark = pytest.mark.e2e

SETTINGS = SourceSettings(open_timeout_s=5, read_timeout_s=1, backoff_s=(0.2,), backoff_jitter=0)
SECRET = "s3cr3t"


class Watched:
    """A supervised camera: what it delivered and the states it went through."""

    def __init__(self, url: str, settings: SourceSettings = SETTINGS) -> None:
        self.outlet = CollectingOutlet(wants_encoded=True)
        self.statuses: list[SourceStatus] = []
        self._numbering = FrameNumbering("cam")
        self._url = url
        self._settings = settings

    async def run(self) -> None:
        await supervise(
            lambda: open_source(self._url, self._numbering, self._settings),
            self.outlet,
            self._numbering,
            self._settings,
            self.statuses.append,
        )

    @property
    def states(self) -> list[SourceState]:
        """Without repetitions."""
        return [state for state, _ in itertools.groupby(status.state for status in self.statuses)]

    async def frames_after(self, count: int) -> None:
        """Waits for ten frames beyond the first `count`."""
        await until(lambda: len(self.outlet.frames) >= count + 10, 20)


@contextlib.asynccontextmanager
async def watched(url: str, settings: SourceSettings = SETTINGS) -> AsyncIterator[Watched]:
    camera = Watched(url, settings)
    run = asyncio.ensure_future(camera.run())
    try:
        yield camera
    finally:
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run


@pytest.fixture(scope="module")
def server() -> Iterator[GstServer]:
    with gst_server() as running:
        yield running


async def error_of(url: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the callers look at its type
        await open_source(url, FrameNumbering("cam"), SETTINGS).run(CollectingOutlet())
    return caught.value


def assert_one_stream(outlet: CollectingOutlet) -> None:
    frames = outlet.frames
    assert {frame.stream for frame in frames} == {"cam"}
    assert all(before.index < after.index for before, after in itertools.pairwise(frames))
    assert all(before.pts_s < after.pts_s for before, after in itertools.pairwise(frames))


async def test_frames_are_whole_and_coded_pictures_come_with_them(server: GstServer) -> None:
    async with watched(server.url()) as camera:
        await camera.frames_after(40)
    assert_one_stream(camera.outlet)
    for frame in camera.outlet.frames:
        red, green = frame.video.to_ndarray(format="rgb24")[..., :2].astype(int).transpose(2, 0, 1)
        assert np.mean(green - red > 80) < 0.02  # what FFmpeg has not decoded is green
    assert camera.outlet.coded[0].is_iframe
    gaps_s = [after.pts_s - before.pts_s for before, after in itertools.pairwise(camera.outlet.coded)]
    assert min(gaps_s) > 0.02


async def test_a_killed_server_is_reconnected_to_under_the_same_id() -> None:
    with gst_server() as server:
        async with watched(server.url()) as camera:
            await camera.frames_after(0)
            server.kill()
            await until(lambda: camera.states[-1] is SourceState.RECONNECTING)
            lost_at = len(camera.outlet.frames)
            await until(lambda: any(status.code == "source_refused" for status in camera.statuses))
            server.start()
            await camera.frames_after(lost_at)
    assert camera.states == ["connecting", "live", "reconnecting", "live", "closed"]
    assert camera.outlet.connections == 2
    assert_one_stream(camera.outlet)


async def test_a_stalled_server_is_noticed_and_comes_back() -> None:
    with gst_server() as server:
        async with watched(server.url()) as camera:
            await camera.frames_after(0)
            server.send(signal.SIGSTOP)
            await until(lambda: camera.states[-1] is SourceState.RECONNECTING)
            assert camera.statuses[-1].code == "source_timeout"
            lost_at = len(camera.outlet.frames)
            server.send(signal.SIGCONT)
            await camera.frames_after(lost_at)
    assert camera.states[:4] == ["connecting", "live", "reconnecting", "live"]
    assert_one_stream(camera.outlet)


async def test_a_server_that_starts_late_is_found() -> None:
    with gst_server() as server:
        url = server.url()
        server.kill()
        async with watched(url) as camera:
            await until(lambda: any(status.code == "source_refused" for status in camera.statuses))
            server.start()
            await camera.frames_after(0)
    assert camera.states == ["connecting", "live", "closed"]


async def test_a_resize_in_mid_stream_is_followed() -> None:
    with gst_server() as server:
        async with watched(server.url()) as camera:
            await camera.frames_after(0)
            server.send(signal.SIGUSR1)
            await until(lambda: camera.outlet.frames[-1].width == 480, 20)
    sizes = [(frame.width, frame.height) for frame in camera.outlet.frames]
    assert [size for size, _ in itertools.groupby(sizes)] == [(320, 240), (480, 272)]
    assert camera.outlet.connections == 1
    assert_one_stream(camera.outlet)


@pytest.mark.parametrize("codec", ["h265", "jpeg"])
async def test_other_codecs_are_decoded_too(codec: str) -> None:
    with gst_server("--codec", codec) as server:
        async with watched(server.url()) as camera:
            await camera.frames_after(0)
    assert camera.outlet.frames[0].width == 320


async def test_a_path_that_does_not_exist_is_not_found(server: GstServer) -> None:
    assert type(await error_of(server.url("/nothing"))) is SourceNotFound


@pytest.mark.parametrize("method", ["basic", "digest"])
async def test_credentials_are_needed_checked_and_kept_secret(method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with gst_server("--auth", method, "--user", "admin", "--password", SECRET) as server:
        for credentials in ("", "admin:wrong@", f"eve:{SECRET}@"):
            error = await error_of(server.url(credentials=credentials))
            assert type(error) is SourceAuthFailed
            assert SECRET not in repr(error)
        async with watched(server.url(credentials=f"admin:{SECRET}@")) as camera:
            await camera.frames_after(0)
            server.kill()
            await until(lambda: camera.states[-1] is SourceState.RECONNECTING)
    assert SECRET not in repr(camera.statuses)
    assert SECRET not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that it signed itself, in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("openssl is absent")
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


async def test_rtsps_works_with_a_self_signed_certificate_unless_that_is_forbidden(certificate: Path) -> None:
    with gst_server("--certificate", str(certificate)) as server:
        url = server.url(scheme="rtsps")
        async with watched(url) as camera:
            await camera.frames_after(0)
        strict = SourceSettings(verify_tls=True)
        with pytest.raises(SourceRefused, match="certificate"):
            await open_source(url, FrameNumbering("cam"), strict).run(CollectingOutlet())
