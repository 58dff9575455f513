"""RTSP cameras that misbehave, as scripted, on this machine's loopback."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading

import pytest

from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceTimeout,
    SourceTooLarge,
)
from streamapp.results import DropReason
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering
from streamapp.sources.child import reader as child
from streamapp.sources.coded import nal_units
from streamapp.sources.rtsp import OPTIONS, RtspSource
from streamapp.sources.url import parse
from tests.coded_video import LEVELS, h264_pictures, index_of
from tests.decoding_processes import decoding_processes
from tests.fakes import CollectingOutlet
from tests.rtsp_server import FakeCamera, Fault
from tests.waiting import until

SECRET = "hunter2"
SHORT = SourceSettings(open_timeout_s=1.0, read_timeout_s=1.0)
HANGS_UP = Fault.HANGS_UP


@pytest.fixture(params=["process", "thread"], autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is promised holds wherever FFmpeg runs."""
    monkeypatch.setattr(child, "AVAILABLE", request.param == "process" and child.AVAILABLE)
    return str(request.param)


def rtsp(url: str, settings: SourceSettings = SHORT) -> RtspSource:
    address = parse(url).rtsp
    assert address is not None
    return RtspSource(address, FrameNumbering("cam"), settings)


async def seen(camera: FakeCamera, settings: SourceSettings = SHORT) -> CollectingOutlet:
    """What comes from a camera that hangs up in the end."""
    outlet = CollectingOutlet(wants_encoded=True)
    async with camera.serve():
        with pytest.raises(SourceEnded):
            await rtsp(camera.url, settings).run(outlet)
    return outlet


async def error_of(camera: FakeCamera, url: str | None = None, settings: SourceSettings = SHORT) -> SourceError:
    async with camera.serve():
        address = url.format(port=camera.port) if url else camera.url
        with pytest.raises(SourceError) as caught:
            await rtsp(address, settings).run(CollectingOutlet())
    return caught.value


def reader_threads() -> int:
    return sum(thread.name == "reader cam" for thread in threading.enumerate())


async def test_every_picture_arrives_the_first_and_the_last_included() -> None:
    outlet = await seen(FakeCamera(h264_pictures(45), fault=HANGS_UP))
    shown = [index_of(frame.video) for frame in outlet.frames]
    assert len(shown) + outlet.dropped[DropReason.STALE] == 45
    assert shown[0] == 0
    assert shown[-1] == 44 % LEVELS
    assert outlet.connections == 1
    assert outlet.dropped[DropReason.CORRUPT] == 0


async def test_coded_pictures_are_forwarded_from_the_first_iframe_on() -> None:
    outlet = await seen(FakeCamera(h264_pictures(25), fault=HANGS_UP))
    assert [picture.is_iframe for picture in outlet.coded] == [index % 10 == 0 for index in range(25)]
    gaps_s = [after.pts_s - before.pts_s for before, after in itertools.pairwise(outlet.coded)]
    assert gaps_s == pytest.approx([1 / 30] * 24, abs=2e-3)
    assert {picture.codec for picture in outlet.coded} == {"h264"}


async def test_a_change_of_resolution_is_followed() -> None:
    pictures = h264_pictures(15) + h264_pictures(15, width=320, height=240)
    outlet = await seen(FakeCamera(pictures, fault=HANGS_UP))
    sizes = [(frame.width, frame.height) for frame in outlet.frames]
    assert [size for size, _ in itertools.groupby(sizes)] == [(160, 120), (320, 240)]
    assert all(before.pts_s < after.pts_s for before, after in itertools.pairwise(outlet.frames))


async def test_an_iframe_whose_slices_each_come_with_parameter_sets_is_one_picture() -> None:
    pictures = []
    for picture in h264_pictures(25, width=320, height=240):
        units = list(nal_units(picture))
        sets = [unit for unit in units if unit[0] & 0x1F in (7, 8)]
        split = [part for unit in units for part in ([*sets, unit] if unit[0] & 0x1F == 5 else [unit])]
        pictures.append(b"".join(b"\x00\x00\x00\x01" + unit for unit in split))
    outlet = await seen(FakeCamera(pictures, fault=HANGS_UP))
    assert len(outlet.frames) + outlet.dropped[DropReason.STALE] == 25
    assert len(outlet.coded) == 25
    for frame in outlet.frames:
        grey = frame.video.to_ndarray(format="gray")
        assert grey.max() - grey.min() < 12  # a picture in two halves has two greys


async def test_the_wrap_of_rtp_timestamps_is_invisible() -> None:
    outlet = await seen(FakeCamera(h264_pictures(30), first_timestamp=2**32 - 30_000, fault=HANGS_UP))
    times_s = [picture.pts_s for picture in outlet.coded]
    assert times_s == pytest.approx([index / 30 for index in range(30)], abs=2e-3)


async def test_corrupt_pictures_are_counted_and_the_stream_goes_on() -> None:
    noise = random.Random(1)
    pictures = h264_pictures(40)
    for index in (5, 15, 25):
        pictures[index] = b"\x00\x00\x00\x01\x41" + noise.randbytes(300)
    outlet = await seen(FakeCamera(pictures, fault=HANGS_UP))
    assert outlet.dropped[DropReason.CORRUPT] >= 3
    assert index_of(outlet.frames[-1].video) == 39
    assert outlet.connections == 1


async def test_a_stall_is_noticed_within_the_read_timeout() -> None:
    outlet = CollectingOutlet()
    async with FakeCamera(h264_pictures(5)).serve() as camera:
        with pytest.raises(SourceTimeout, match="sent nothing"):
            await rtsp(camera.url).run(outlet)
    assert len(outlet.frames) + outlet.dropped[DropReason.STALE] >= 4
    await until(lambda: reader_threads() == 0, 5)


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.DRIP, Fault.SILENT_AFTER_DESCRIBE])
async def test_a_server_that_does_not_answer_in_time_is_given_up(fault: Fault) -> None:
    assert type(await error_of(FakeCamera(fault=fault))) is SourceTimeout
    await until(lambda: reader_threads() == 0, 5)


async def test_a_server_that_plays_nothing_is_given_up() -> None:
    assert type(await error_of(FakeCamera())) is SourceTimeout
    await until(lambda: reader_threads() == 0, 5)


async def test_nobody_listening_is_refused_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(SourceRefused):
            await rtsp(f"rtsp://127.0.0.1:{unused.getsockname()[1]}/cam").run(CollectingOutlet())


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        (FakeCamera(describe_status="401 Unauthorized"), SourceAuthFailed),
        (FakeCamera(describe_status="403 Forbidden"), SourceAuthFailed),
        (FakeCamera(describe_status="404 Not Found"), SourceNotFound),
        (FakeCamera(describe_status="453 Not Enough Bandwidth"), SourceRefused),
        (FakeCamera(describe_status="500 Internal Server Error"), SourceProtocolError),
        (FakeCamera(fault=Fault.NOT_RTSP), SourceProtocolError),
        (FakeCamera(sdp_media="m=audio 0 RTP/AVP 0\r\n"), SourceCodecUnsupported),
        (
            FakeCamera(h264_pictures(5), sdp_media="m=video 0 RTP/AVP 96\r\na=rtpmap:96 SUPERVID/90000\r\n"),
            SourceCodecUnsupported,
        ),
    ],
)
async def test_each_refusal_has_its_own_error(camera: FakeCamera, expected: type[SourceError]) -> None:
    error = await error_of(camera)
    assert type(error) is expected
    assert camera.url in str(error)


async def test_a_wrong_password_is_tried_once_and_never_shown() -> None:
    camera = FakeCamera(describe_status="401 Unauthorized", describe_headers=['WWW-Authenticate: Basic realm="x"'])
    error = await error_of(camera, f"rtsp://admin:{SECRET}@127.0.0.1:{{port}}/cam")
    assert type(error) is SourceAuthFailed
    assert SECRET not in repr(error)
    assert error.__cause__ is None
    assert sum("Authorization:" in request for request in camera.requests) == 1
    assert camera.connections == 1


async def test_credentials_are_in_no_request_that_does_not_need_them() -> None:
    camera = FakeCamera(describe_status="404 Not Found")
    await error_of(camera, f"rtsp://admin:{SECRET}@127.0.0.1:{{port}}/cam")
    assert camera.requests
    assert not any(SECRET in request or "Authorization" in request for request in camera.requests)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Moved Temporarily", "305 Use Proxy"])
async def test_a_redirect_is_refused_and_nobody_else_is_connected_to(status: str) -> None:
    async with FakeCamera().serve() as elsewhere:
        headers = [f"Location: {elsewhere.url}"]
        error = await error_of(FakeCamera(describe_status=status, describe_headers=headers))
        assert type(error) is SourceProtocolError
        assert "redirect" in str(error)
        assert elsewhere.connections == 0


async def test_a_redirect_of_the_second_connection_is_refused_before_anybody_is_connected_to(decoder: str) -> None:
    if decoder == "thread":
        pytest.skip("FFmpeg follows it where it runs in the app itself: docs/security.md")
    async with FakeCamera().serve() as elsewhere:
        error = await error_of(FakeCamera(h264_pictures(3), later_redirect=elsewhere.url))
        assert type(error) is SourceProtocolError
        assert "redirect" in str(error)
        assert elsewhere.connections == 0


async def test_a_picture_over_the_limit_is_refused_also_in_mid_stream() -> None:
    small = SourceSettings(open_timeout_s=1, read_timeout_s=1, max_pixels=160 * 120)
    large = h264_pictures(10, width=320, height=240)
    outlet = CollectingOutlet()
    async with FakeCamera(h264_pictures(10) + large).serve() as camera:
        with pytest.raises(SourceTooLarge, match="320x240"):
            await rtsp(camera.url, small).run(outlet)
    assert outlet.frames
    assert type(await error_of(FakeCamera(large), settings=small)) is SourceTooLarge


@pytest.mark.parametrize(
    "camera",
    [
        FakeCamera(fault=Fault.SILENT),
        FakeCamera(fault=Fault.SILENT_AFTER_DESCRIBE),
        FakeCamera(h264_pictures(3)),
        FakeCamera(h264_pictures(600)),
    ],
    ids=["connecting", "opening", "stalled", "decoding"],
)
async def test_cancelling_returns_within_two_seconds_in_every_phase(camera: FakeCamera) -> None:
    outlet = CollectingOutlet()
    settings = SourceSettings(open_timeout_s=3, read_timeout_s=3)
    async with camera.serve():
        run = asyncio.ensure_future(rtsp(camera.url, settings).run(outlet))
        await until(lambda: outlet.frames or (camera.connections and not camera.pictures))
        await until(lambda: camera.fault is not Fault.SILENT_AFTER_DESCRIBE or camera.connections == 2)
        run.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await run
        delivered = len(outlet.frames)
        await until(lambda: reader_threads() == 0, 5)
        assert decoding_processes() == []
        assert len(outlet.frames) == delivered


def test_ffmpeg_may_use_nothing_but_rtsp_over_tcp() -> None:
    assert OPTIONS["rtsp_transport"] == "tcp"
    allowed = set(OPTIONS["protocol_whitelist"].split(","))
    assert allowed == {"rtsp", "rtsps", "rtp", "srtp", "tcp", "tls", "udp"}
    assert "fflags" not in OPTIONS
