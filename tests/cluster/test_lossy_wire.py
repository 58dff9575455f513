"""Streams on one machine, models on another, and a bad network between them: the picture does not stutter, answers that
come too late are dropped and counted, and nothing else is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lossy_wire import ADDRESSES, lossy_wire, reason_not_permitted
from tests.cluster.machines import ROOT
from tests.weights import models_folder, need_full_mode

WATCHED_S = 8.0
PORT = "6379"


@contextmanager
def running(namespace: str, folder: Path, says: str, *words: str, **settings: str) -> Iterator[str]:
    """A command in a network namespace, from the line on that says so; ended as Ctrl-C does. Yields that line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMAPP_", "RAY_"))}
    environment |= {"PYTHONPATH": ROOT} | {f"STREAMAPP_{name}": value for name, value in settings.items()}
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "streamapp", *words]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if says in line), None)
        assert line is not None, f"{words} ended with {process.wait()}"
        yield line
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stdout.close()


def watched(namespace: str, url: str) -> dict[str, Any]:
    client: Sequence[str] = (sys.executable, "-m", "tests.cluster.far_client", url, str(WATCHED_S))
    told = subprocess.run(
        ["ip", "netns", "exec", namespace, *client], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert told.returncode == 0, told.stderr
    seen: dict[str, Any] = json.loads(told.stdout)
    return seen


@pytest.mark.e2e
@pytest.mark.weights
@pytest.mark.timeout(240)
def test_a_stream_whose_models_are_behind_a_bad_network(tmp_path: Path) -> None:
    need_full_mode()
    if (reason := reason_not_permitted()) is not None:
        pytest.skip(reason)
    weights = tmp_path / "weights"
    weights.mkdir()
    settings = {"MODELS__DIR": str(models_folder(weights)), "CLUSTER__TOKEN_FILE": str(tmp_path / "cluster.token")}
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    with lossy_wire(delay_s=0.02, loss=0.01) as wire, ExitStack() as stack:
        here, there = wire.names
        begin = ("cluster", "up", "--host", ADDRESSES[0], "--devices", "0", "--places", "1")
        stack.enter_context(running(here, near, "the cluster is at", *begin, **settings))
        (far / "cluster.token").write_text((tmp_path / "cluster.token").read_text())
        join = ("cluster", "up", "--join", f"{ADDRESSES[0]}:{PORT}", "--host", ADDRESSES[1], "--places", "0")
        elsewhere = settings | {"CLUSTER__TOKEN_FILE": str(far / "cluster.token")}
        stack.enter_context(running(there, far, "part of the cluster", *join, **elsewhere))
        serve = ("serve", "--port", "0", "--cluster", f"{ADDRESSES[0]}:{PORT}", "--workers", "1")
        line = stack.enter_context(running(here, near, "streamapp is at", *serve, **settings))
        url = next(word for word in line.split() if word.startswith("http://"))
        seen = watched(here, url)
        assert wire.lost > 0, "the wire lost nothing: this proves nothing"
    before, after = seen["before"], seen["after"]
    assert after["state"] == "live"
    assert after["frames"] - before["frames"] > 0.9 * 30 * WATCHED_S, "the picture waits for nobody"
    assert len(seen["memory"]["devices"]) == 1
    assert seen["memory"]["committed_mb"] > 0, "models are there, and only there"
    assert sum(operation["done"] for operation in seen["jobs"]["operations"].values()) > 0
