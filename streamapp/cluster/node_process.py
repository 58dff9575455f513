"""Ray's processes on one machine: started, and ended together."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from streamapp.cluster.ray_node import DEVICE, PLACE, QUIET, TOKEN_PATH
from streamapp.errors import DeviceLost, UsageError

START_TIMEOUT_S = 60.0
MOST_SAID_BYTES = 1_000_000
STARTED = b"Ray runtime started"
END_TIMEOUT_S = 15.0
HEALTH = {"health_check_initial_delay_ms": 2000, "health_check_period_ms": 1000, "health_check_failure_threshold": 4}
"""A machine that does not answer for four seconds is gone. Ray's own: three looks of three seconds, after five."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """join: HOST:PORT of a cluster; None: this is the first machine, at `port`. devices: that run models; places: for
    owners of streams; host: this machine's address, as others reach it."""

    join: str | None
    port: int
    devices: int
    places: int
    host: str | None
    token_file: Path


@dataclass(frozen=True, slots=True)
class RunningNode:
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    """What it printed."""

    def wait_until_up(self) -> None:
        """Waits until this machine is part of the cluster. Raises DeviceLost."""
        until_s = time.monotonic() + START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < until_s:
            if STARTED in self._said():
                return
            time.sleep(0.1)
        raise DeviceLost(f"Ray did not start: {self._failure()}")

    def wait(self) -> None:
        """Until it has ended. Raises DeviceLost if that was its own doing."""
        if self.process.wait() != 0:
            raise DeviceLost(f"Ray has ended: {self._failure()}")

    def _failure(self) -> str:
        """The last that it said."""
        if self.process.poll() is None:
            return f"no answer within {START_TIMEOUT_S:.0f} s"
        lines = self._said().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.returncode}"

    def _said(self) -> bytes:
        """Read in place: where Ray writes next is the same for both."""
        return os.pread(self.said.fileno(), MOST_SAID_BYTES, 0)


def make_secret(file: Path) -> None:
    """Makes the cluster's secret, unless it is there: readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)


def quiet_environment(folder: Path) -> dict[str, str]:
    """With which Ray's processes call nobody. Where its own launcher left no notes in the home folder, Ray asks the
    metadata services of three clouds where it is, whether usage is reported or not: so the home is a folder in
    `folder`, with empty notes."""
    home = folder.absolute() / "ray"
    home.mkdir(parents=True, exist_ok=True)
    (home / "ray_bootstrap_config.yaml").write_text("{}\n")
    return QUIET | {"HOME": str(home)}


def pid_file(token_file: Path) -> Path:
    return token_file.with_suffix(".pid")


@contextmanager
def running_node(options: NodeOptions) -> Iterator[RunningNode]:
    """Ray's processes, for the length of the block; all end with the one that started them. Raises UsageError, and
    DeviceLost if they do not start."""
    if options.join is not None and not options.token_file.is_file():
        raise UsageError(f"there is no {options.token_file}: copy it from the machine that the cluster began on")
    make_secret(options.token_file)
    pids = pid_file(options.token_file)
    if (running := running_pid(options.token_file)) is not None:
        raise UsageError(f"this machine is part of a cluster already (process {running}): `streamapp cluster down`")
    if options.join is None:
        _check_free(options.port)
    resources = json.dumps({DEVICE: options.devices, PLACE: options.places})
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--resources={resources}"]
    command += ["--disable-usage-stats", "--log-color=false"]
    if options.host is not None:
        command.append(f"--node-ip-address={options.host}")
    if options.join is None:
        command += ["--head", f"--port={options.port}", "--include-dashboard=false"]
        command.append(f"--system-config={json.dumps(HEALTH)}")
    else:
        command.append(f"--address={options.join}")
    environment = os.environ | quiet_environment(options.token_file.parent)
    environment[TOKEN_PATH] = str(options.token_file.resolve())
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - nothing of it is a stranger's
            command, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        pids.write_text(str(os.getpid()))
        try:
            yield RunningNode(process, said)
        finally:
            process.terminate()
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            pids.unlink(missing_ok=True)


def _check_free(port: int) -> None:
    """Ray itself would share it with whoever has it. Raises UsageError."""
    try:
        socket.create_server(("", port), reuse_port=False).close()
    except OSError as error:
        raise UsageError(f"port {port} is taken ({error.strerror}); choose another with --port") from error


def running_pid(token_file: Path) -> int | None:
    """Of the `cluster up` that holds this machine's part up; None if there is none."""
    try:
        pid = int(pid_file(token_file).read_text())
        if b"cluster\0up" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    except (OSError, ValueError):
        pass
    return None


def take_down(token_file: Path) -> bool:
    """Ends this machine's part of the cluster. False if there was none."""
    pid = running_pid(token_file)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    until_s = time.monotonic() + END_TIMEOUT_S
    while running_pid(token_file) is not None and time.monotonic() < until_s:
        time.sleep(0.1)
    return True
