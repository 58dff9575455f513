"""A server that is told to end finishes what it records."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import av
import httpx
import pytest

from streamapp.recording.entry import RecordingState
from streamapp.recording.library import RecordingLibrary
from tests.server_process import STOP_TIMEOUT_S, ServerProcess
from tests.waiting import until_sync

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(120)]


def test_a_recording_is_whole_after_sigterm(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    server.start()
    try:
        wanted = {"name": "demo", "source": "demo", "record": True}
        httpx.post(f"{server.url}/streams", json=wanted, timeout=10).raise_for_status()
        until_sync(lambda: server.get("/streams/demo")["recording"]["seconds"] > 2, 30)
        os.kill(server.pid, signal.SIGTERM)
        until_sync(lambda: server.exit_code is not None, STOP_TIMEOUT_S)
        assert server.exit_code == 0, server.log
    finally:
        server.kill()
    (entry,) = RecordingLibrary(tmp_path / "recordings", min_free_bytes=0).entries()
    assert (entry.state, entry.reason) == (RecordingState.COMPLETE, None)
    (part,) = entry.parts
    with av.open(str(tmp_path / "recordings" / str(entry.id) / part.file)) as video:
        times_s = [packet.pts * packet.time_base for packet in video.demux(video=0) if packet.pts is not None]
    assert float(max(times_s)) > 2
