"""A face product makes no calls home: nothing is looked up and nobody is contacted, from start to end."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from streamapp.choices import Backend, ScreenRuntime
from tests.silence import SilentRun, reason_not_permitted, run_in_silence
from tests.weights import SHORT_RANGE, models_folder, weights_of

CHECKOUT = Path(__file__).parent.parent

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def room() -> None:
    """Skips all of this where there can be no such room."""
    reason = reason_not_permitted()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def models() -> Path:
    """The folder of the short-range weights."""
    return weights_of(*SHORT_RANGE)[1].parent


def run_python(*arguments: str, **environment: str) -> SilentRun:
    """Runs this interpreter in the room, in the checkout, with settings in the environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STREAMAPP_") or name in ("STREAMAPP_EVENTS__FILE", "STREAMAPP_SERVER__STREAMS_FILE")
    }
    return run_in_silence(
        [sys.executable, *arguments], timeout_s=120, env={**kept, **environment}, cwd=CHECKOUT
    )  # fmt: skip


def assert_silent(run: SilentRun) -> None:
    assert run.returncode == 0, run.stderr
    assert run.lookups == ()
    assert run.contacts == ()


def test_the_room_notices_lookups_and_contacts() -> None:
    run = run_python("-m", "tests.silent_programs", "talk")
    assert run.returncode == 0, run.stderr
    assert set(run.lookups) == {"positive-control.example"}
    assert set(run.contacts) >= {"192.0.2.7:443", "224.0.0.251:5353"}
    if Path("/proc/net/if_inet6").exists():
        assert "2001:db8::7:443" in run.contacts


@pytest.mark.weights
@pytest.mark.parametrize("runtime", ScreenRuntime)
def test_the_screener_is_silent(runtime: ScreenRuntime, models: Path) -> None:
    run = run_python(
        "-m", "tests.silent_programs", "screen",
        STREAMAPP_MODELS__DIR=str(models), STREAMAPP_MODELS__RUNTIME=runtime,
    )  # fmt: skip
    assert_silent(run)
    assert json.loads(run.stdout)["faces"] > 0


@pytest.mark.weights
@pytest.mark.parametrize("backend", Backend)
def test_running_a_net_is_silent(backend: Backend) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (pip install 'streamapp[{backend}]')")
    models = weights_of("mtcnn-rnet")[1].parent
    run = run_python(
        "-m", "tests.silent_programs", "infer", STREAMAPP_MODELS__DIR=str(models), STREAMAPP_TEST_BACKEND=backend
    )
    assert_silent(run)
    assert json.loads(run.stdout)


@pytest.mark.weights
def test_running_the_demo_is_silent(models: Path) -> None:
    run = run_python(
        "-m", "streamapp", "run", "demo", "--mode", "fast", "--json", "-", "--pace", "asap", "--max-frames", "50",
        STREAMAPP_MODELS__DIR=str(models),
    )  # fmt: skip
    assert_silent(run)
    assert len(run.stdout.splitlines()) == 50


@pytest.mark.weights
def test_serving_is_silent(models: Path) -> None:
    run = run_python(
        "-m", "tests.silent_programs", "serve",
        STREAMAPP_MODELS__DIR=str(models), STREAMAPP_TEST_EXAMINE="/detect/fast",
    )  # fmt: skip
    assert_silent(run)
    assert run.stdout.splitlines() == ["/health 200", "/ 200", "/detect/fast 200", "ended 0"]


@pytest.mark.weights
def test_a_cluster_is_silent(models: Path, tmp_path: Path) -> None:
    run = run_python(
        "-m", "tests.silent_programs", "cluster",
        STREAMAPP_MODELS__DIR=str(models), STREAMAPP_TEST_EXAMINE="/detect/fast",
        STREAMAPP_CLUSTER__TOKEN_FILE=str(tmp_path / "cluster.token"),
    )  # fmt: skip
    assert_silent(run)
    assert run.stdout.splitlines() == ["/health 200", "/ 200", "/detect/fast 200", "ended 0", "left 0"]


@pytest.mark.weights
@pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is absent (pip install 'streamapp[demo]')")
def test_the_demo_page_is_silent(models: Path) -> None:
    run = run_python("-m", "tests.silent_programs", "demo", STREAMAPP_MODELS__DIR=str(models))
    assert_silent(run)
    assert run.stdout.splitlines() == ["/ 200", "called 200", "examined True", "ended 0"]


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("backend", Backend)
def test_every_model_at_work_is_silent(backend: Backend, tmp_path: Path) -> None:
    """The deepest mode on a stream and on a picture, with all weights there are."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (pip install 'streamapp[{backend}]')")
    environment = {"STREAMAPP_MODELS__DIR": str(models_folder(tmp_path)), "STREAMAPP_MODELS__BACKEND": backend.value}
    run = run_python(
        "-m", "streamapp", "run", "demo", "--mode", "full", "--json", "-", "--pace", "asap", "--max-frames", "20",
        **environment,
    )  # fmt: skip
    assert_silent(run)
    assert "liveness" in run.stdout.splitlines()[-1]
    run = run_python("-m", "tests.silent_programs", "serve", STREAMAPP_TEST_EXAMINE="/analyze/full", **environment)
    assert_silent(run)
    assert "/analyze/full 200" in run.stdout


def test_looking_at_the_machine_is_silent() -> None:
    """`doctor` finds faults in such a room, so its exit code says nothing here."""
    run = run_python("-m", "streamapp", "doctor")
    assert "python" in run.stdout, run.stderr
    assert (run.lookups, run.contacts) == ((), ())
