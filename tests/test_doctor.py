"""The doctor says what is missing and how to mend it, and does not take a library's word for a GPU."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from streamapp import doctor
from streamapp.choices import ScreenRuntime
from streamapp.doctor import Check, CheckStatus, diagnose
from streamapp.sections import ModelSettings, RecordingSettings, ServerSettings
from streamapp.settings import Settings
from tests.weights import SHORT_RANGE, weights_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=ModelSettings(dir=tmp_path / "models"), server=ServerSettings(port=0))


def check(settings: Settings, name: str) -> Check:
    return next(found for found in diagnose(settings) if found.name == name)


def pretend_installed(monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, str | None]) -> None:
    """Makes these distributions appear at these versions, or absent for None."""
    real = metadata.version

    def version(name: str) -> str:
        pretended = versions.get(name, "real")
        if pretended is None:
            raise metadata.PackageNotFoundError(name)
        return real(name) if pretended == "real" else pretended

    monkeypatch.setattr(metadata, "version", version)


def test_every_check_has_a_name_of_its_own_and_what_is_missing_has_a_remedy(settings: Settings) -> None:
    found = diagnose(settings)
    assert len({one.name for one in found}) == len(found)
    assert all(one.detail for one in found)
    assert all(one.remedy for one in found if one.status is CheckStatus.MISSING)


def test_a_server_has_its_port(settings: Settings) -> None:
    before, serving = diagnose(settings), diagnose(settings, is_serving=True)
    assert {one.name for one in before} - {one.name for one in serving} == {"port"}


def test_this_environment_has_what_the_tests_need(settings: Settings) -> None:
    names = ("python", "ffmpeg", "opencv", "screening", "mediapipe", "onnxruntime")
    assert {name: check(settings, name).status for name in names} == dict.fromkeys(names, CheckStatus.OK)


def test_absent_weights_are_missing(settings: Settings) -> None:
    found = check(settings, "weights: mediapipe")
    assert (found.status, found.remedy) == (CheckStatus.MISSING, "streamapp models pull")


@pytest.mark.weights
def test_installed_weights_are_named_with_their_licence(settings: Settings) -> None:
    variant, path = weights_of(*SHORT_RANGE)
    settings.models.dir.mkdir()
    (settings.models.dir / variant.file).symlink_to(path)
    found = check(settings, "weights: mediapipe")
    assert found.status is CheckStatus.OK
    assert variant.name in found.detail
    assert "Apache-2.0" in found.detail


def test_an_unknown_screener_is_missing_weights(settings: Settings) -> None:
    models = settings.models.model_copy(update={"screener": "yolo"})
    found = check(settings.model_copy(update={"models": models}), "weights: mediapipe")
    assert found.status is CheckStatus.MISSING
    assert "yolo" in found.detail


def test_a_release_of_mediapipe_that_calls_home_is_warned_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, {"mediapipe": "1.2.2"})
    found = check(settings, "mediapipe")
    assert found.status is CheckStatus.WARN
    assert "logging host" in found.detail
    assert found.remedy == "pip install mediapipe==0.10.33"


@pytest.mark.parametrize("runtime", ScreenRuntime)
def test_a_missing_runtime_is_missing_only_if_it_is_the_configured_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, runtime: ScreenRuntime
) -> None:
    pretend_installed(monkeypatch, {"mediapipe": None})
    models = settings.models.model_copy(update={"runtime": runtime})
    found = check(settings.model_copy(update={"models": models}), "screening")
    expected = {ScreenRuntime.LITERT: CheckStatus.OK, ScreenRuntime.MEDIAPIPE: CheckStatus.MISSING}
    assert found.status is expected[runtime]


def test_a_missing_library_of_the_system_is_named_with_its_package(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_MEDIAPIPE_LIBRARIES", ("libabsent.so.1",))
    models = settings.models.model_copy(update={"runtime": ScreenRuntime.MEDIAPIPE})
    found = check(settings.model_copy(update={"models": models}), "screening")
    assert found.status is CheckStatus.MISSING
    assert "libabsent.so.1" in found.detail
    assert found.remedy == "apt-get install libegl1 libgles2"


def test_two_builds_of_onnx_runtime_are_warned_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, {"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"})
    found = check(settings, "onnxruntime")
    assert found.status is CheckStatus.WARN
    assert "overwrite each other" in found.detail
    pretend_installed(monkeypatch, {"onnxruntime": None, "onnxruntime-gpu": None})
    assert check(settings, "onnxruntime").status is CheckStatus.WARN


def test_two_opencv_wheels_are_warned_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, {"opencv-python-headless": "4.12"})
    found = check(settings, "opencv")
    assert found.status is CheckStatus.WARN
    assert str(found.remedy).startswith("pip uninstall -y opencv-contrib-python opencv-python-headless && pip install")


def test_a_gpu_is_believed_only_with_its_driver_and_device(tmp_path: Path) -> None:
    assert "everything runs on the CPU" in doctor._gpu(tmp_path, tmp_path).detail
    (tmp_path / "version").touch()
    assert "everything runs on the CPU" in doctor._gpu(tmp_path, tmp_path).detail
    (tmp_path / "nvidia3").touch()
    told = doctor._gpu(tmp_path, tmp_path).detail
    assert "screened on the CPU" in told
    assert "not the one for GPUs" in told


def test_webcams_are_listed(tmp_path: Path) -> None:
    assert "none" in doctor._webcams(tmp_path).detail
    (tmp_path / "video0").touch()
    assert doctor._webcams(tmp_path) == Check("webcams", CheckStatus.OK, f"{tmp_path}/video0")


def test_a_port_in_use_is_warned_of(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = settings.server.model_copy(update={"port": taken.getsockname()[1]})
        found = check(settings.model_copy(update={"server": server}), "port")
    assert found.status is CheckStatus.WARN
    assert found.remedy == "streamapp serve --port 0"
    assert check(settings, "port").status is CheckStatus.OK


def test_too_little_disk_for_recordings_is_warned_of(settings: Settings) -> None:
    wanting = settings.model_copy(update={"recording": RecordingSettings(min_free_bytes=1 << 60)})
    assert check(settings, "disk").status is CheckStatus.OK
    assert check(wanting, "disk").status is CheckStatus.WARN
