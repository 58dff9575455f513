"""A terminal that is given the commands of a guide as they stand there, on a machine prepared for them.

The commands find `streamapp` on their path and the server where the guide says it is: it really listens on a free port,
to which curl is led by its .curlrc, as the browser is by a rule of its resolver.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.docs.markdown import ROOT
from tests.waiting import until_sync

WRITTEN = "127.0.0.1:8000"
"""Where every guide has the server."""
_PROGRAM = '#!/bin/sh\nexec {python} -m tests.loopback_server "$@"\n'
_ASSIGNMENT = re.compile(r"^(?P<name>[A-Z]+)=.*$", re.MULTILINE)
_STOP_TIMEOUT_S = 15.0


class Terminal:
    """A shell in a folder of its own. Variables that a guide has its reader fill in get the values of `own`."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str], own: Mapping[str, str]) -> None:
        """`settings`: environment variables without their STREAMAPP_ prefix."""
        self.folder = folder
        self._own = own
        self._count = 0
        self._log = folder / "serve.log"
        self.address = ""
        """Where the server really is, once it has been started: host:port."""
        _prepare(folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMAPP_")}
        environment |= {f"STREAMAPP_{name}": value for name, value in settings.items()}
        environment |= {"STREAMAPP_SERVER__PORT": "0", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
        environment |= {"VENV": str(folder / "venv"), "PATH": f"{folder / 'venv/bin'}:{os.environ['PATH']}"}
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        self._say("set -o pipefail; trap 'failed=1' ERR")

    def run(self, commands: str, timeout_s: float = 60.0) -> str:
        """What the commands write. Raises AssertionError if one of them fails."""
        self._count += 1
        output, ended = self.folder / f"{self._count}.out", self.folder / f"{self._count}.ended"
        self._say(f"failed=0; {{\n{self._filled_in(commands)}\n}} < /dev/null > {output} 2>&1")
        self._say(f"echo $failed > {ended}.new; mv {ended}.new {ended}")
        until_sync(ended.exists, timeout_s)
        text = output.read_text(errors="replace")
        assert ended.read_text().strip() == "0", f"{commands}\n{text}"
        return text

    def serve(self, command: str, timeout_s: float = 60.0) -> None:
        """Starts a command that serves until the terminal is closed, and waits until it does."""
        self._say(f"{command.strip()} < /dev/null > {self._log} 2>&1 &")
        until_sync(lambda: re.search(r"http://127\.0\.0\.1:\d+\b.*\n", self._said()), timeout_s)
        found = re.search(r"http://(127\.0\.0\.1:\d+)", self._said())
        assert found is not None
        self.address = found[1]
        (self.folder / ".curlrc").write_text(f'connect-to = "{WRITTEN}:{self.address}"\nsilent\nshow-error\n')

    def close(self) -> None:
        """Ends the shell and what it started."""
        os.killpg(self._shell.pid, signal.SIGTERM)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(_STOP_TIMEOUT_S)
        try:
            until_sync(lambda: not _is_alive(self._shell.pid), _STOP_TIMEOUT_S)
        except TimeoutError:
            os.killpg(self._shell.pid, signal.SIGKILL)
            raise

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _filled_in(self, commands: str) -> str:
        return _ASSIGNMENT.sub(lambda found: f"{found['name']}='{self._own[found['name']]}'", commands)

    def _say(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()


@contextmanager
def terminal(folder: Path, *, settings: Mapping[str, str], own: Mapping[str, str]) -> Iterator[Terminal]:
    opened = Terminal(folder, settings=settings, own=own)
    try:
        yield opened
    finally:
        opened.close()


def _prepare(folder: Path) -> None:
    """A checkout whose environment is set up: what `make run` does after its first time."""
    programs = folder / "venv/bin"
    programs.mkdir(parents=True)
    program = programs / "streamapp"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    for name in ("Makefile", ".ci", "requirements", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "venv/.installed-cpu").touch()


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
