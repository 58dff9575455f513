"""`streamapp cluster up | status | down`, as in the guide."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.cluster.machines import ROOT, free_port
from tests.waiting import until_sync

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMAPP_", "RAY_"))}
    environment |= {"PYTHONPATH": ROOT, "STREAMAPP_CLUSTER__TOKEN_FILE": str(folder / "keys" / "cluster.token")}
    return [sys.executable, "-m", "streamapp", "cluster", *arguments], environment


def said(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words, environment = command(folder, *arguments)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A machine of a cluster: `cluster up`, once it has said that it is."""
    words, environment = command(folder, "up", *arguments)
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "cluster at" in process.stdout.readline().replace("the cluster is at", "cluster at")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def ray_processes() -> set[int]:
    return {process.pid for process in psutil.process_iter() if process.name() in ("raylet", "gcs_server")}


def test_a_cluster_of_two_machines_comes_and_goes(tmp_path: Path) -> None:
    before = ray_processes()
    first, second, port = tmp_path / "first", tmp_path / "second", str(free_port())
    for folder in (first, second):
        (folder / "keys").mkdir(parents=True)
    with up(first, "--port", port) as head:
        secret = first / "keys" / "cluster.token"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        again = said(first, "up", "--port", str(free_port()))
        assert (again.returncode, "cluster down" in again.stderr) == (2, True), again.stderr
        taken = said(second, "up", "--port", port)
        assert (taken.returncode, "--port" in taken.stderr) == (2, True), taken.stderr
        (second / "keys" / "cluster.token").write_text(secret.read_text())
        with up(second, "--join", f"127.0.0.1:{port}", "--places", "3"):
            until_sync(lambda: said(first, "status", "--address", f"127.0.0.1:{port}").stdout.count("│ 1 ") == 2, 30)
            shown = said(second, "status", "--address", f"127.0.0.1:{port}").stdout
            assert "│ 3 " in shown
        (second / "keys" / "cluster.token").write_text("0" * 64)
        refused = said(second, "status", "--address", f"127.0.0.1:{port}")
        assert refused.returncode != 0
        assert "no cluster at" in refused.stderr
        assert said(first, "down").returncode == 0
        assert head.wait(30) == 0
    until_sync(lambda: ray_processes() <= before, 20)
    nothing = said(first, "down")
    assert (nothing.returncode, "no cluster was started here" in nothing.stderr) == (2, True)


def test_joining_without_the_secret_says_where_it_is(tmp_path: Path) -> None:
    refused = said(tmp_path, "up", "--join", "127.0.0.1:1")
    assert refused.returncode == 2
    assert "copy it" in refused.stderr
