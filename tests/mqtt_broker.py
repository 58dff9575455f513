"""A real MQTT broker (Debian's mosquitto) of the tests' own, on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.waiting import until_sync

USER, PASSWORD = "camera", "hunter2"


class Broker:
    """`port` stays the same over restarts. Only USER with PASSWORD is let in."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = int(free.getsockname()[1])
        passwords = folder / "passwords"
        passwords.write_text(f"{USER}:{PASSWORD}\n")
        subprocess.run([self._beside("mosquitto_passwd"), "-U", str(passwords)], check=True, timeout=30)
        (folder / "broker.conf").write_text(
            f"listener {self.port} 127.0.0.1\npassword_file {passwords}\nallow_anonymous false\n"
            f"user {getpass.getuser()}\n"  # else one that may not read the test's folder, where the test is root
        )

    def start(self) -> None:
        command = [self._program, "-c", str(self._folder / "broker.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_sync(self._answers, 10)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker did not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _beside(self, name: str) -> str:
        found = shutil.which(name)
        assert found is not None, f"{name} comes with mosquitto"
        return found


@contextmanager
def mqtt_broker(folder: Path) -> Iterator[Broker]:
    """Skips the calling test where there is none."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    broker = Broker(program, folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
