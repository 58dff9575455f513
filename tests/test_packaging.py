"""What is installed is what was locked, and an installed app has all it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streamapp.doctor import OPENCV_WHEELS

CHECKOUT = Path(__file__).parent.parent
LOCKS = ("cpu", "gpu", "container", "dev")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock file: exactly one version, and the hashes of its files."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def lock_text(name: str) -> str:
    return (CHECKOUT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> list[Pin]:
    found = []
    for entry in lock_text(name).replace("\\\n", "").strip().splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        found.append(Pin(Requirement(requirement), tuple(hashes)))
    return found


def declared(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for in the environment of a lock."""
    groups, project = PROJECT["dependency-groups"], PROJECT["project"]
    if lock in ("container", "dev"):
        texts = [text for text in groups[lock] if isinstance(text, str)]
    else:
        texts = project["dependencies"] + project["optional-dependencies"][lock] + groups["build"]
        texts += project["optional-dependencies"]["demo"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_one_version_and_hashes(lock: str) -> None:
    entries = pins(lock)
    assert len(entries) > 2
    for pin in entries:
        assert pin.version
        assert pin.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in pin.hashes), pin.name


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_registry(lock: str) -> None:
    assert not re.search(r"https?:|index-url|find-links|file:", lock_text(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_have_what_the_project_asks_for(lock: str) -> None:
    locked = pins(lock)
    for wanted in declared(lock):
        versions = [pin.version for pin in locked if pin.name == canonicalize_name(wanted.name)]
        assert versions, f"{wanted} is not in requirements/{lock}.txt; run `make lock`"
        assert all(wanted.specifier.contains(version) for version in versions), f"{wanted}: {versions}; run `make lock`"


@pytest.mark.parametrize("lock", ["gpu", "container", "dev"])
def test_locks_agree_with_each_other(lock: str) -> None:
    def versions(name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for pin in pins(name):
            found.setdefault(pin.name, set()).add(pin.version)
        return found

    cpu, other = versions("cpu"), versions(lock)
    shared = cpu.keys() & other.keys()
    assert shared
    assert {name: other[name] for name in shared} == {name: cpu[name] for name in shared}


@pytest.mark.parametrize(("lock", "build"), [("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")])
def test_each_lock_has_one_build_of_onnx_runtime(lock: str, build: str) -> None:
    assert {pin.name for pin in pins(lock)} & {"onnxruntime", "onnxruntime-gpu"} == {build}
    assert not {pin.name for pin in pins("dev")} & {"onnxruntime", "onnxruntime-gpu"}


@pytest.mark.parametrize("lock", ["cpu", "gpu"])
def test_each_lock_has_one_opencv(lock: str) -> None:
    assert len([pin for pin in pins(lock) if pin.name in OPENCV_WHEELS]) == 1
    assert not [pin for pin in pins("dev") if pin.name in OPENCV_WHEELS]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_code_the_page_the_manifest_and_the_clip_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    page = {f"streamapp/_assets/web/{path.relative_to(CHECKOUT / 'web')}" for path in (CHECKOUT / "web").rglob("*.*")}
    code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "streamapp").rglob("*.py")}
    assert page | code <= inside
    assert {"streamapp/_assets/models/manifest.toml", "streamapp/_assets/recordings/demo.mp4"} <= inside
    assert "streamapp/py.typed" in inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == {"streamapp"}
    assert not [name for name in inside if name.endswith((".tflite", ".onnx", ".pyc"))]


def test_an_installed_app_finds_its_assets_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel],
        check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    program = """
from streamapp.assets import asset
from streamapp.zoo.manifest import load_manifest
for name in ("web/index.html", "models/manifest.toml", "recordings/demo.mp4"):
    print(asset(name))
load_manifest()
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMAPP_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment, "PYTHONPATH": str(target)}, cwd=tmp_path,
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = [Path(line) for line in done.stdout.splitlines()]
    assert all(path.is_file() and path.is_relative_to(target) for path in found), found


def test_the_licence_is_the_whole_text_of_apache_2() -> None:
    text = (CHECKOUT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10))


def test_the_makefile_lists_its_targets() -> None:
    done = subprocess.run(["make", "-s"], cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=30)
    assert {line.split()[1] for line in done.stdout.splitlines()} == {
        "help", "run", "test", "lint", "lock", "bench", "clean",
    }  # fmt: skip


@pytest.mark.parametrize("script", ["run", "system-packages"])
def test_scripts_are_sound_shell(script: str) -> None:
    path = CHECKOUT / ".ci" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True, timeout=30)


def test_ci_does_what_make_test_does() -> None:
    assert (CHECKOUT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"


def test_the_image_has_the_optional_parts_that_talk_to_services() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert sorted(PROJECT["dependency-groups"]["container"]) == sorted(extras["postgres"] + extras["mqtt"])
