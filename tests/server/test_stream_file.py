"""Streams that were added are there again after a restart, and their passwords are nobody else's."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import httpx
import pytest

from streamapp.errors import SettingsError
from streamapp.faces import Mode
from streamapp.server.schemas import StreamRequest
from streamapp.server.stream_file import StreamFile
from tests.server_process import ServerProcess
from tests.waiting import until_sync

DOOR = StreamRequest(name="door", source="rtsp://admin:s3cr3t@camera.lan:554/live", mode=Mode.FULL, record=False)


def test_what_is_written_is_read_again_and_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "streams.json"
    file = StreamFile(path)
    assert file.read() == []
    before = os.umask(0)
    try:
        file.write([DOOR])
    finally:
        os.umask(before)
    assert StreamFile(path).read() == [DOOR]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    file.write([])
    assert "s3cr3t" not in path.read_text()
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "streams.json"
    StreamFile(path).write([DOOR])
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        StreamFile(path).read()


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2, "streams": []}', '{"version": 1, "streams": [{}]}'])
def test_what_is_no_file_of_streams_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "streams.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="not a file of streams"):
        StreamFile(path).read()
    assert path.read_text() == content


def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "keys").write_text("in the way")
    with caplog.at_level(logging.ERROR):
        StreamFile(tmp_path / "keys" / "streams.json").write([DOOR])
    assert "not kept" in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.e2e
def test_streams_survive_a_killed_server(tmp_path: Path) -> None:
    settings = {"SOURCES__ALLOWED_NETWORKS": '["127.0.0.0/8", "10.0.0.0/8"]'}
    server = ServerProcess(tmp_path, settings=settings)
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=10) as http:
            for name, source in (("gone", "demo"), ("clip", "demo"), ("gate", "rtsp://a:s3cr3t@127.0.0.1:1/live")):
                http.post("/streams", json={"name": name, "source": source}).raise_for_status()
            http.delete("/streams/gone").raise_for_status()
            http.patch(
                "/streams/gate", json={"name": "door", "source": "rtsp://***@127.0.0.1:1/sub"}
            ).raise_for_status()
        server.kill()
        server.start()
        found = {stream["name"]: stream["source"] for stream in server.get("/streams")}
        assert found == {"clip": "demo", "door": "rtsp://***@127.0.0.1:1/sub"}
        until_sync(lambda: server.get("/streams/clip")["state"] == "live", 20)
        kept = json.loads((tmp_path / "keys/streams.json").read_text())["streams"]
        assert {stream["name"]: stream["source"] for stream in kept}["door"] == "rtsp://a:s3cr3t@127.0.0.1:1/sub"
        assert "s3cr3t" not in server.log
    finally:
        server.stop()
    narrow = ServerProcess(tmp_path, settings={})
    narrow.start()
    try:
        assert [stream["name"] for stream in narrow.get("/streams")] == ["clip"]
        assert "door is not started again" in narrow.log
        httpx.delete(f"{narrow.url}/streams/clip", timeout=10).raise_for_status()
        kept = json.loads((tmp_path / "keys/streams.json").read_text())["streams"]
        assert [stream["name"] for stream in kept] == ["door"], "what was left out is not lost"
    finally:
        narrow.stop()
    forgetful = ServerProcess(tmp_path, settings=settings | {"SERVER__KEEP_STREAMS": "false"})
    forgetful.start()
    try:
        assert forgetful.get("/streams") == []
    finally:
        forgetful.stop()
