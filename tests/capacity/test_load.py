"""Real streams put on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp.capacity.load import put_load
from streamapp.capacity.load_report import LoadReport, StreamKind
from streamapp.capacity.load_request import LoadRequest
from streamapp.errors import Overloaded, SourceError, UsageError
from streamapp.faces import Mode
from tests.capacity.test_load_request import HERE
from tests.rtsp_server import gst_server
from tests.server_process import ServerProcess, serving
from tests.waiting import until_sync
from tests.webrtc_peers import use_loopback

pytestmark = [pytest.mark.e2e, pytest.mark.weights]
LIMITS = {"WEBRTC__MAX_SESSIONS": "2", "SERVER__MAX_STREAMS": "3", "SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
CLOSED_PORT = "rtsp://127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server"), settings=LIMITS) as started:
        yield started


@pytest.fixture
def request_of(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> LoadRequest:
    """Two seconds of nothing yet."""
    use_loopback(monkeypatch)
    monkeypatch.delenv("STREAMAPP_TOKEN", raising=False)
    return replace(HERE, address=server.url, webrtc=0, seconds=2.0, mode=Mode.FAST)


def assert_left_clean(server: ServerProcess) -> None:
    until_sync(lambda: not server.get("/status")["streams"])


async def test_publishers_cameras_and_clips_are_measured_and_ended(
    server: ServerProcess, request_of: LoadRequest
) -> None:
    with gst_server() as camera:
        camera_url = camera.url()
        report = await put_load(replace(request_of, webrtc=2, rtsp=1, rtsp_url=camera_url, clips=1))
    assert sorted(stream.kind for stream in report.streams) == ["clip", "rtsp", "webrtc", "webrtc"]
    for stream in report.streams:
        assert stream.results_per_s > 5
        assert not stream.lost
        assert stream.age_p95_ms is not None
        assert 0 < stream.age_p95_ms < 5000
    assert set(report.age_p95_ms) == set(StreamKind)
    assert report.use.processes is not None
    assert report.use.processes >= 1
    assert report.use.cores is not None
    assert report.use.cores > 0
    assert report.use.memory_peak_mb is not None
    assert report.use.memory_peak_mb > 50
    assert '"analyses_per_s": 0.0' in report.to_json(), "mode fast asks no models"
    assert LoadReport.tables(report)[1].row_count > 8
    assert_left_clean(server)


async def test_a_full_server_is_named_with_its_limit_and_left_as_it_was(
    server: ServerProcess, request_of: LoadRequest
) -> None:
    with pytest.raises(Overloaded, match=r"took 2 streams .* webrtc\.max_sessions"):
        await put_load(replace(request_of, webrtc=3))
    assert_left_clean(server)
    with pytest.raises(Overloaded, match=r"took 3 streams .* server\.max_streams"):
        await put_load(replace(request_of, clips=4))
    assert_left_clean(server)


async def test_a_camera_that_is_not_there_is_named_with_the_reason(
    server: ServerProcess, request_of: LoadRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamapp.capacity.load.LIVE_TIMEOUT_S", 1.0)
    with pytest.raises(SourceError, match="1 of 1 streams gave no results"):
        await put_load(replace(request_of, rtsp=1, rtsp_url=CLOSED_PORT))
    assert_left_clean(server)


async def test_no_server_is_said_so(request_of: LoadRequest) -> None:
    with pytest.raises(UsageError, match="no server answers"):
        await put_load(replace(request_of, address="http://127.0.0.1:1", clips=1))


async def test_a_server_with_tokens_says_which_are_needed(
    tmp_path: Path, request_of: LoadRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamapp.access.token_file import TokenFile
    from streamapp.access.tokens import new_token, scopes_in

    token, secret = new_token("load", scopes_in("view,operate"), now=0.0, lifetime_s=None)
    (tmp_path / "keys").mkdir()
    TokenFile(tmp_path / "keys/tokens.json").add(token)
    with serving(tmp_path, settings={"SERVER__TOKEN_FILE": str(tmp_path / "keys/tokens.json")}) as server:
        asked = replace(request_of, address=server.url, clips=1, seconds=1.0)
        with pytest.raises(UsageError, match="scopes view and operate"):
            await put_load(asked)
        monkeypatch.setenv("STREAMAPP_TOKEN", secret)
        assert (await put_load(asked)).streams[0].results_per_s > 5
