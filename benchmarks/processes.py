"""Servers to measure, each in a process group of its own that ends with the block that started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.machine import on_core

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 12.0
ROOT = Path(__file__).parent.parent


class ServerFailed(RuntimeError):
    """A server did not start, or has gone. Says what it wrote last."""


class Server:
    """A running server. `url` is where it answers."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises ServerFailed if it has gone."""
        if self._process.poll() is not None:
            self._output.seek(0)
            said = self._output.read().decode(errors="replace")[-2000:]
            raise ServerFailed(f"{self.name} ended with code {self._process.returncode}:\n{said}")


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, core: int | None = None
) -> Iterator[Server]:
    """Starts a server, on one core only if asked, waits until its port answers, and ends it with the block."""
    with tempfile.TemporaryFile() as output:
        with on_core(core):
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(os.environ if env is None else env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            server = Server(name, process, port, output)
            _wait_for_port(server)
            yield server
        finally:
            _end(process)


def post(address: str, body: bytes, content_type: str) -> str:
    """The answer to an HTTP POST. Raises ServerFailed when it is refused, or the server is not there."""
    request = urllib.request.Request(address, data=body, headers={"Content-Type": content_type, "Accept": "*/*"})
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            answer: bytes = response.read()
    except urllib.error.HTTPError as error:
        raise ServerFailed(f"{address}: {error.code} {error.read()[:500]!r}") from error
    except OSError as error:
        raise ServerFailed(f"{address}: {error}") from error
    return answer.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(server: Server) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        server.check()
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise ServerFailed(f"{server.name} did not answer within {START_TIMEOUT_S:.0f} s") from error
            time.sleep(0.1)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and what it started: politely first."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait(STOP_TIMEOUT_S)
