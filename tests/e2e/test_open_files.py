"""A server that may open no more files."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server_process import serving
from tests.waiting import until_sync

pytestmark = pytest.mark.e2e
ROOM = 20


def test_running_out_of_open_files_is_survived(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        process = psutil.Process(server.pid)
        limit = process.num_fds() + ROOM
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
        address = (httpx.URL(server.url).host, httpx.URL(server.url).port or 80)
        idle = [socket.create_connection(address, timeout=5) for _ in range(3 * ROOM)]
        until_sync(lambda: process.num_fds() >= limit - 2)
        for connection in idle:
            connection.close()

        def answers() -> bool:
            try:
                return httpx.get(f"{server.url}/health", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        until_sync(answers, 20)
        assert process.is_running()
