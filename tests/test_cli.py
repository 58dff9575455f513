"""The command line as its users call it: a process of its own, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamapp.results import FrameResult
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.zoo.registry import open_screener
from tests.shared_data import shared_file
from tests.waiting import until_sync
from tests.weights import SHORT_RANGE, models_folder, weights_of

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def weights() -> str:
    """Name of the folder with face detector weights; skips where there are none."""
    if any((ROOT / "models").glob("*.tflite")):
        return str(ROOT / "models")
    return str(shared_file("models/blaze_face_short_range.tflite").parent)


@pytest.fixture
def environment(weights: str) -> dict[str, str]:
    return {**os.environ, "STREAMAPP_MODELS__DIR": weights, "STREAMAPP_RECORDING__MIN_FREE_BYTES": "0"}


def streamapp(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamapp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False)


@pytest.mark.weights
def test_run_prints_one_result_per_line_and_nothing_else(environment: dict[str, str]) -> None:
    done = streamapp("run", "demo", "--json", "-", "--pace", "asap", "--max-frames", "60", environment=environment)
    assert done.returncode == 0, done.stderr
    results = [FrameResult.from_json(line) for line in done.stdout.splitlines()]
    assert [result.frame for result in results] == list(range(60))
    assert any(result.tracks for result in results)
    assert results[0].stream == "run"
    assert set(results[0].timing_ms) >= {"decode", "wait", "convert", "screen", "track", "total"}
    assert done.stderr == ""


@pytest.mark.weights
def test_as_fast_as_possible_gives_the_same_tracks_every_time(environment: dict[str, str]) -> None:
    def tracks() -> list[object]:
        done = streamapp("run", "demo", "--json", "-", "--pace", "asap", "--max-frames", "90", environment=environment)
        return [json.loads(line)["tracks"] for line in done.stdout.splitlines()]

    first = tracks()
    assert len(first) == 90
    assert first == tracks()


@pytest.mark.weights
def test_record_writes_every_frame_with_its_overlay(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    done = streamapp(
        "run", "demo", "--pace", "asap", "--max-frames", "50", "--record", str(path), environment=environment
    )
    assert done.returncode == 0, done.stderr
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 50


@pytest.mark.weights
def test_a_private_recording_shows_nobody(environment: dict[str, str], tmp_path: Path) -> None:
    screener = open_screener(Settings(models=ModelSettings(dir=Path(environment["STREAMAPP_MODELS__DIR"]))))
    shown = {}
    for name, options in (("open", ()), ("private", ("--privacy",))):
        path = tmp_path / f"{name}.mp4"
        arguments = ("run", "demo", "--pace", "asap", "--max-frames", "60", "--record", str(path), *options)
        done = streamapp(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        with av.open(str(path)) as container:
            pictures = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        found = [screener.screen(np.asarray(picture, np.uint8), 0.0) for picture in pictures[::5]]
        shown[name] = sum(bool((faces.scores > 0.75).any()) for faces in found)
    screener.close()
    assert shown["open"] > 6
    assert shown["private"] == 0


@pytest.mark.weights
@pytest.mark.media
def test_a_real_video_gives_a_face_in_most_frames(environment: dict[str, str]) -> None:
    clip = shared_file("media/videos/liveportrait_driving_d9.mp4")
    done = streamapp("run", str(clip), "--json", "-", "--pace", "asap", "--max-frames", "100", environment=environment)
    results = [FrameResult.from_json(line) for line in done.stdout.splitlines()]
    assert len(results) == 100
    assert sum(bool(result.tracks) for result in results) >= 90
    assert len({track.id for result in results for track in result.tracks}) <= 2


@pytest.fixture
def endless(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A paced run of the demo with results on a pipe and a recording at out.mp4."""
    command = [sys.executable, "-m", "streamapp", "run", "demo", "--json", "-", "--record", str(tmp_path / "out.mp4")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as child:
        yield child
        child.kill()


@pytest.mark.weights
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_cleanly_with_the_file_finalised(
    endless: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert endless.stdout is not None
    for _ in range(40):
        assert endless.stdout.readline()
    endless.send_signal(number)
    rest, errors = endless.communicate(timeout=10)
    assert endless.returncode == 0, errors
    assert "Traceback" not in errors
    results = 40 + len(rest.splitlines())
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert 0.8 * results <= len(list(container.decode(video=0))) <= results


@pytest.mark.weights
def test_a_recording_survives_kill_9_of_the_whole_app(endless: subprocess.Popen[str], tmp_path: Path) -> None:
    assert endless.stdout is not None
    pts_s = 0.0
    while pts_s < 4.0:
        pts_s = FrameResult.from_json(endless.stdout.readline()).pts_s
    endless.kill()
    endless.wait(10)
    with av.open(str(tmp_path / "out.mp4")) as container:
        last = [frame.time for frame in container.decode(video=0)][-1]
    assert last >= pts_s - 2.0


@pytest.mark.weights
def test_a_reader_that_goes_away_ends_the_run_quietly(environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m streamapp run demo --json - --pace asap | head -n 3"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 3
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.weights
def test_a_missing_file_is_exit_code_3_and_says_so(environment: dict[str, str]) -> None:
    done = streamapp("run", "no/such/clip.mp4", environment=environment)
    assert done.returncode == 3
    assert "no/such/clip.mp4" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.weights
def test_a_camera_that_refuses_is_exit_code_3_without_its_password(environment: dict[str, str]) -> None:
    done = streamapp("run", "rtsp://admin:hunter2@127.0.0.1:9/live", environment=environment)
    assert done.returncode == 3
    assert "hunter2" not in done.stderr + done.stdout
    assert "error: rtsp://" in done.stderr


@pytest.mark.parametrize("source", ["http://127.0.0.1/x.mp4", "concat:a|b", "rtmp://host/x", "lavfi:testsrc"])
def test_other_schemes_are_exit_code_2(source: str) -> None:
    done = streamapp("run", source)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_missing_weights_are_exit_code_4_and_name_the_command(tmp_path: Path) -> None:
    environment = {**os.environ, "STREAMAPP_MODELS__DIR": str(tmp_path)}
    done = streamapp("run", "demo", "--pace", "asap", environment=environment)
    assert done.returncode == 4
    assert "streamapp models pull" in done.stderr


@pytest.mark.weights
@pytest.mark.parametrize("arguments", [("run", "demo", "--mode", "standard"), ("evaluate", "detection", ".")])
def test_a_mode_whose_models_are_missing_is_exit_code_4_and_names_the_command(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    variant, path = weights_of(*SHORT_RANGE)
    (tmp_path / variant.file).symlink_to(path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    labels = tmp_path / "labels.json"
    labels.write_text('{"a.png": [[0, 0, 1, 1]]}')
    given = tuple(str(labels) if argument == "." else argument for argument in arguments)
    done = streamapp(*given, environment={**os.environ, "STREAMAPP_MODELS__DIR": str(tmp_path)})
    assert done.returncode == 4, done.stderr
    assert "yolo model" in done.stderr
    assert "streamapp models pull" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.weights
@pytest.mark.media
def test_the_deepest_mode_says_who_was_analysed_by_what_and_why(tmp_path: Path) -> None:
    """On the stand-ins: with a face in view, its analyses with model, frame, reason and age, and what was left out."""
    folder = models_folder(tmp_path)
    done = streamapp(
        *("run", "demo", "--mode", "full", "--json", "-", "--pace", "asap", "--max-frames", "60"),
        environment={**os.environ, "STREAMAPP_MODELS__DIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    results = [FrameResult.from_json(line) for line in done.stdout.splitlines()]
    assert any(result.keyframe and "new_track" in result.keyframe.reasons for result in results)
    (track,) = results[-1].tracks
    assert set(track.analyses) == {"identity", "liveness", "gender_age"}
    assert track.analyses["liveness"].state == "live"
    assert track.analyses["identity"].name == "unknown"
    assert track.analyses["gender_age"].reason in ("new_track", "undecided")
    assert track.skipped == {"deepfake": "model_missing"}
    assert track.landmarks is not None


def test_a_wrong_setting_is_exit_code_2_and_named() -> None:
    done = streamapp("run", "demo", environment={**os.environ, "STREAMAPP_PIPELINE__MIN_SCORE": "high"})
    assert done.returncode == 2
    assert "min_score" in done.stderr
    done = streamapp("run", "demo", environment={**os.environ, "STREAMAPP_PIPELNE__MIN_SCORE": "0.5"})
    assert done.returncode == 2
    assert "STREAMAPP_PIPELNE__MIN_SCORE" in done.stderr


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"precious")
    done = streamapp("run", "demo", "--record", str(tmp_path / "out.mp4"))
    assert done.returncode == 2
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"


def test_version_and_help() -> None:
    assert streamapp("--version").stdout.strip()
    for command in ("run", "serve", "models", "doctor"):
        assert command in streamapp("--help").stdout
    assert streamapp("run", "--nonsense").returncode == 2


@pytest.mark.weights
def test_doctor_reports_and_its_exit_code_says_whether_something_is_missing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    sound = streamapp("doctor", environment=environment)
    assert sound.returncode == 0, sound.stdout
    broken = streamapp("doctor", environment={**environment, "STREAMAPP_MODELS__DIR": str(tmp_path)})
    assert broken.returncode == 1
    assert "streamapp models pull" in broken.stdout


@pytest.mark.weights
def test_serve_prints_its_address_answers_and_stops_within_ten_seconds(environment: dict[str, str]) -> None:
    import urllib.request

    command = [sys.executable, "-m", "streamapp", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as server:
        try:
            assert server.stdout is not None
            address = next(word for word in server.stdout.readline().split() if word.startswith("http://"))

            def healthy() -> bool:
                with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=5) as answer:
                    return bool(answer.status == 200)

            until_sync(healthy)
            server.terminate()
            assert server.wait(10) == 0
        finally:
            server.kill()


def test_serving_other_machines_without_saying_so_is_refused() -> None:
    done = streamapp("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "streamapp token create --name" in done.stderr
