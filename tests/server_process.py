"""`streamapp serve` in a process of its own, as a user would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

from tests.waiting import until_sync
from tests.weights import SHORT_RANGE, weights_of

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 12.0


class ServerProcess:
    """`streamapp serve` on 127.0.0.1, in a folder of its own. `url` is where it is."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, slow_ms: float = 0) -> None:
        """`settings`: environment variables without their STREAMAPP_ prefix."""
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMAPP_")}
        self._environment |= {"PYTHONPATH": str(ROOT), "STREAMAPP_MODELS__DIR": str(models_dir())}
        self._environment |= {f"STREAMAPP_{name}": value for name, value in (settings or {}).items()}
        self._slow_ms = slow_ms
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._port = 0
        self.url = ""

    def start(self) -> None:
        """Starts it and waits until it answers; a second start takes the same port."""
        command = [sys.executable, "-m", "tests.loopback_server", "--slow-ms", str(self._slow_ms)]
        command += ["serve", "--port", str(self._port)]
        self._lines = []
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        until_sync(self._is_up_or_dead, START_TIMEOUT_S)
        assert self._process.poll() is None, self.log

    @property
    def log(self) -> str:
        return "\n".join(self._lines)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return httpx.get(self.url + path, timeout=10).raise_for_status().json()

    def kill(self) -> None:
        """Ends it at once, without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """Ends it as Ctrl-C does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._lines.append(line.rstrip("\n"))

    def _is_up_or_dead(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        address = next(
            (word for line in tuple(self._lines) for word in line.split() if word.startswith(("http://", "https://"))),
            None,
        )
        if address is None:
            return False
        self.url = address.rstrip("/")
        self._port = httpx.URL(self.url).port or 80
        return True


def models_dir() -> Path:
    """A folder with the weights that screen every frame; skips the calling test where there is none."""
    return weights_of(*SHORT_RANGE)[1].parent


@contextmanager
def serving(folder: Path, *, settings: Mapping[str, str] | None = None, slow_ms: float = 0) -> Iterator[ServerProcess]:
    """A started server, stopped at the end of the block."""
    server = ServerProcess(folder, settings=settings, slow_ms=slow_ms)
    server.start()
    try:
        yield server
    finally:
        server.stop()
