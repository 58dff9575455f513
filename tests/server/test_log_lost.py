"""The server goes on where its log cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.server_process import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.mark.parametrize("log", ["a full disk", "a reader that has gone"])
def test_a_log_that_cannot_be_written_does_not_end_the_server(tmp_path: Path, log: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMAPP_")}
    environment |= {"PYTHONPATH": str(ROOT), "STREAMAPP_LOG__LEVEL": "DEBUG"}
    with _unwritable(log) as unwritable:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamapp", "serve", "--port", "0"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=unwritable,
            text=True,
        )
    try:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        with httpx.Client(base_url=address, timeout=20) as client:
            for number in range(3):  # each is logged: there are no weights here
                added = client.post("/streams", json={"name": f"demo-{number}", "source": "demo"})
                assert added.status_code == 201, added.text
            assert client.get("/health").json()["status"] == "alive"
            assert len(client.get("/streams").json()) == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(12) in (0, 120)  # 120: Python could not write the rest of the log at its end
    finally:
        process.kill()
        process.communicate()


def _unwritable(log: str) -> IO[bytes]:
    if log == "a full disk":
        return open("/dev/full", "wb")
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")
