"""What a confined process can still do, tried in one."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.decoding_processes import is_running
from tests.waiting import until_sync

ROOT = Path(__file__).parents[3]
LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
"""The version of Landlock here; below 1 there is none."""
needs_landlock = pytest.mark.skipif(LANDLOCK < 1, reason="this kernel has no Landlock")
needs_landlock_network = pytest.mark.skipif(LANDLOCK < 4, reason="this kernel's Landlock knows no ports")

Try = Callable[..., object]


@pytest.fixture
def attempt(tmp_path: Path) -> Try:
    """Runs code in a confined process: what it printed, or the error's name."""

    def run(code: str, *, memory_mb: int = 64, port: int = 554) -> object:
        program = f"""
            import json, os, resource, socket, subprocess, sys
            from streamapp.sources.child.confinement import confine
            confine({memory_mb} * 1_000_000, {port})
            try:
                said = eval(sys.argv[1])
            except BaseException as error:
                said = type(error).__name__
            print(json.dumps(said))
        """
        command = [sys.executable, "-c", textwrap.dedent(program), code]
        (tmp_path / "secret").write_text("secret")
        ran = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60, check=True
        )
        return json.loads(ran.stdout)

    return run


def test_it_leaves_no_core_and_gets_few_files(attempt: Try) -> None:
    assert attempt("resource.getrlimit(resource.RLIMIT_CORE)") == [0, 0]
    assert attempt("len([os.dup(0) for _ in range(100)])") == "OSError"
    assert attempt("len([os.dup(0) for _ in range(20)])") == 20


def test_memory_beyond_the_limit_is_refused(attempt: Try) -> None:
    assert attempt("len(bytearray(32_000_000))") == 32_000_000
    assert attempt("len(bytearray(128_000_000))") == "MemoryError"


def test_nothing_is_written(attempt: Try, tmp_path: Path) -> None:
    assert attempt("open('new', 'w').write('x' * 100_000)") in ("OSError", "PermissionError")
    assert not (tmp_path / "new").exists() or (tmp_path / "new").stat().st_size == 0


@needs_landlock
@pytest.mark.parametrize(
    "code",
    [
        "open('secret').read()",
        "open('secret', 'a').write('x')",
        "os.truncate('secret', 0)",
        "os.unlink('secret')",
        "os.mkdir('new')",
        "os.listdir('.')",
        "subprocess.run(['/bin/true']).returncode",
        "open(f'/proc/{os.getppid()}/environ').read()",
    ],
)
def test_files_of_others_and_programs_are_out_of_reach(attempt: Try, tmp_path: Path, code: str) -> None:
    if "truncate" in code and LANDLOCK < 3:
        pytest.skip("this kernel's Landlock does not know truncation")
    assert attempt(code) == "PermissionError"
    assert (tmp_path / "secret").read_text() == "secret"


@needs_landlock
def test_what_it_needs_is_in_reach(attempt: Try) -> None:
    assert attempt("len(open('/etc/passwd').read()) > 0") is True
    assert attempt("__import__('wave').__name__") == "wave"


@needs_landlock_network
def test_only_the_cameras_port_is_in_reach(attempt: Try) -> None:
    with socket.create_server(("127.0.0.1", 0)) as camera, socket.create_server(("127.0.0.1", 0)) as other:
        port = camera.getsockname()[1]
        connect = "socket.create_connection(('127.0.0.1', {})).close()"
        assert attempt(connect.format(port), port=port) is None
        assert attempt(connect.format(other.getsockname()[1]), port=port) == "PermissionError"
        assert attempt("socket.create_server(('127.0.0.1', 0)).close()", port=port) == "PermissionError"


@pytest.mark.skipif(LANDLOCK < 6, reason="this kernel's Landlock knows no signals")
def test_it_cannot_kill_the_app(attempt: Try) -> None:
    assert attempt("os.kill(os.getppid(), 0)") == "PermissionError"


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    inner = (
        "import os, sys, time; from streamapp.sources.child.confinement import die_with; "
        "die_with(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
    )
    outer = (
        "import os, subprocess, sys; "
        "subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2] or str(os.getpid())])"
    )
    for named_parent in ("", "1"):
        environment = {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", outer, inner, named_parent]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as parent:
            assert parent.stdout is not None
            said = parent.stdout.readline()
            if named_parent:
                assert said == ""  # the parent it was to die with was gone before it began
                continue
            pid = int(said)
            os.kill(parent.pid, signal.SIGKILL)
            until_sync(functools.partial(_has_ended, pid))


def _has_ended(pid: int) -> bool:
    return not is_running(pid)
