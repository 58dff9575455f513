"""Sources tried out: each way in which a camera can fail ends at the step that names it."""

from __future__ import annotations

import asyncio
import ipaddress
import threading

import pytest

from streamapp.errors import SourceError, SourceUrlInvalid
from streamapp.sections import SourceSettings
from streamapp.sources import trial
from streamapp.sources.trial import Outcome, Step, Trial, try_source
from streamapp.sources.url import parse_untrusted
from tests.coded_video import h264_pictures
from tests.rtsp_server import FakeCamera, Fault, gst_server
from tests.waiting import until

SECRET = "s3cr3t"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
SETTINGS = SourceSettings(open_timeout_s=0.5, read_timeout_s=1.0, allowed_networks=LOOPBACK)
PATIENT = SETTINGS.model_copy(update={"open_timeout_s": 5.0})


async def tried(url: str, settings: SourceSettings = SETTINGS) -> Trial:
    return await try_source(parse_untrusted(url, ()), settings)


async def tried_on(camera: FakeCamera) -> Trial:
    async with camera.serve():
        return await tried(camera.url.replace("rtsp://", f"rtsp://admin:{SECRET}@"))


def failed_at(result: Trial) -> Step:
    """The one step that failed; all before it passed, none after it was reached."""
    outcomes = [step.outcome for step in result.steps]
    at = outcomes.index(Outcome.FAILED)
    assert outcomes[:at] == [Outcome.PASSED] * at
    assert outcomes[at + 1 :] == [Outcome.NOT_REACHED] * (len(outcomes) - at - 1)
    assert result.error is not None
    assert result.steps[at].detail == str(result.error)
    assert SECRET not in repr(result)
    return result.steps[at].step


@pytest.mark.parametrize(
    ("camera", "step", "code"),
    [
        (FakeCamera(fault=Fault.SILENT), Step.ANSWER, "source_timeout"),
        (FakeCamera(fault=Fault.NOT_RTSP), Step.ANSWER, "source_protocol"),
        (
            FakeCamera(describe_status="401 No", describe_headers=['WWW-Authenticate: Basic realm="x"']),
            Step.CREDENTIALS,
            "source_auth_failed",
        ),
        (FakeCamera(describe_status="404 Not Found"), Step.STREAM, "source_not_found"),
        (FakeCamera(describe_status="503 Busy"), Step.STREAM, "source_refused"),
        (
            FakeCamera(describe_status="302 Moved", describe_headers=["Location: rtsp://10.0.0.9/"]),
            Step.STREAM,
            "source_protocol",
        ),
        (FakeCamera(sdp_media="m=audio 0 RTP/AVP 0\r\n"), Step.VIDEO, "source_codec_unsupported"),
        (FakeCamera(fault=Fault.SILENT_AFTER_DESCRIBE), Step.PICTURE, "source_timeout"),
    ],
    ids=lambda value: value.name if isinstance(value, Step) else None,
)
async def test_a_camera_fails_at_the_step_that_is_wrong(camera: FakeCamera, step: Step, code: str) -> None:
    result = await tried_on(camera)
    assert failed_at(result) is step
    assert result.error is not None
    assert result.error.code == code
    assert result.pictures is None


async def test_nobody_at_the_port(unused_tcp_port: int) -> None:
    assert failed_at(await tried(f"rtsp://127.0.0.1:{unused_tcp_port}/")) is Step.CONNECTION


async def test_a_name_that_nobody_has() -> None:
    assert failed_at(await tried("rtsp://camera.invalid/", PATIENT)) is Step.NAME


async def test_a_network_where_no_camera_may_be() -> None:
    result = await tried("rtsp://127.0.0.1/", SourceSettings())
    assert failed_at(result) is Step.NETWORK


async def test_an_address_that_is_none() -> None:
    assert failed_at(Trial.refused(SourceUrlInvalid("write another"))) is Step.ADDRESS


async def test_a_camera_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SAMPLE_S", 0.5)
    async with FakeCamera(h264_pictures(60)).serve() as camera:
        result = await tried(camera.url, PATIENT)
    assert {step.outcome for step in result.steps} == {Outcome.PASSED}
    assert [step.step for step in result.steps] == list(Step)
    assert result.error is None
    assert result.pictures is not None
    assert (result.pictures.width, result.pictures.height, result.pictures.codec) == (160, 120, "h264")
    assert result.pictures.fps == pytest.approx(30, rel=0.2)
    await until(lambda: not any(thread.name == "reader trial" for thread in threading.enumerate()))


async def test_a_camera_that_hangs_up_after_its_first_pictures_works() -> None:
    camera = FakeCamera(h264_pictures(10), fault=Fault.HANGS_UP)
    async with camera.serve():
        result = await tried(camera.url, PATIENT)
    assert result.error is None
    assert result.pictures is not None


async def test_the_demo_clip_has_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SAMPLE_S", 0.2)
    result = await tried("demo", PATIENT)
    assert [(step.step, step.outcome) for step in result.steps] == [
        (Step.ADDRESS, Outcome.PASSED),
        (Step.PICTURE, Outcome.PASSED),
    ]


async def test_a_trial_that_is_given_up_leaves_nothing_open() -> None:
    camera = FakeCamera(fault=Fault.SILENT)
    async with camera.serve():
        trying = asyncio.ensure_future(tried(camera.url, PATIENT))
        await until(lambda: camera.connections == 1)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["basic", "digest"])
async def test_a_real_server_that_asks_for_credentials(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SAMPLE_S", 0.3)
    with gst_server("--auth", method, "--user", "admin", "--password", SECRET) as server:
        let_in = await tried(server.url(credentials=f"admin:{SECRET}@"), PATIENT)
        wrong = await tried(server.url(credentials="admin:wrong@"), PATIENT)
        elsewhere = await tried(server.url("/nothing", credentials=f"admin:{SECRET}@"), PATIENT)
    assert let_in.error is None, let_in.error
    assert next(step for step in let_in.steps if step.step is Step.CREDENTIALS).detail == "accepted"
    assert let_in.pictures is not None
    assert (let_in.pictures.width, let_in.pictures.height) == (320, 240)
    assert failed_at(wrong) is Step.CREDENTIALS
    assert failed_at(elsewhere) is Step.STREAM
    assert isinstance(elsewhere.error, SourceError)
