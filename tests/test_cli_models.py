"""`streamapp models list | pull | verify`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli_models import models_app
from streamapp.errors import DownloadFailed, ExitCode, UsageError
from streamapp.zoo.manifest import load_manifest
from tests.weights import SHORT_RANGE, weights_of

pytestmark = pytest.mark.weights


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and no way out of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    return tmp_path / "models"


@pytest.fixture
def mirror() -> Path:
    """A folder that has weights for every task."""
    return weights_of(*SHORT_RANGE)[1].parent


def models_command(*arguments: str) -> Result:
    return CliRunner().invoke(models_app, arguments)


def test_pull_gets_what_every_task_needs_and_then_leaves_it_alone(models: Path, mirror: Path) -> None:
    name, file = (part for part in (weights_of(*SHORT_RANGE)[0].name, weights_of(*SHORT_RANGE)[0].file))
    first = models_command("pull", "--mirror", str(mirror))
    assert first.exit_code == ExitCode.OK
    terms = "licence: Apache-2.0; commercial use: yes"
    assert first.stdout == f"{name}: models/{file}, from mirror {mirror}/{file}; {terms}\n"
    assert [path.name for path in models.iterdir()] == [file]
    again = models_command("pull")
    assert again.exit_code == ExitCode.OK
    assert again.stdout == f"{name}: models/{file} is there and valid\n"


def test_pull_uses_the_configured_mirror_and_variant(
    models: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant, _ = weights_of(*reversed(SHORT_RANGE))
    monkeypatch.setenv("STREAMAPP_MODELS__MIRROR", str(mirror))
    monkeypatch.setenv("STREAMAPP_MODELS__SCREENER", variant.name)
    result = models_command("pull")
    if (mirror / variant.file).is_file():
        assert [path.name for path in models.iterdir()] == [variant.file]
    else:
        assert variant.name in str(result.exception)


def test_pull_says_why_nothing_could_be_had(tmp_path: Path) -> None:
    result = models_command("pull", "--mirror", str(tmp_path / "empty"))
    assert isinstance(result.exception, DownloadFailed)
    assert result.exception.exit_code == ExitCode.MODEL_INVALID
    told = str(result.exception)
    assert told.count("from mirror") == 3
    assert told.count("from wheel mediapipe==0.10.21: pip: ERROR") == 2
    assert told.count("cannot connect") == 1


def test_an_unknown_name_is_bad_usage() -> None:
    for command in ("pull", "verify"):
        result = models_command(command, "yolo")
        assert isinstance(result.exception, UsageError)
        assert result.exception.exit_code == ExitCode.USAGE


def test_verify_fails_until_everything_is_there_and_right(models: Path, mirror: Path) -> None:
    nothing = models_command("verify")
    assert nothing.exit_code == ExitCode.MODEL_INVALID
    assert "screen: what screens frames is not installed; run `streamapp models pull`" in nothing.stdout
    models_command("pull", "--mirror", str(mirror))
    assert models_command("verify").exit_code == ExitCode.OK
    (path,) = models.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    wrong = models_command("verify")
    assert wrong.exit_code == ExitCode.MODEL_INVALID
    assert "invalid: " in wrong.stdout
    assert "size is" in wrong.stdout


def test_verify_of_a_named_variant_looks_at_that_alone(mirror: Path) -> None:
    models_command("pull", "--mirror", str(mirror))
    assert models_command("verify", "blazeface-full-range-sparse").exit_code == ExitCode.MODEL_INVALID
    assert models_command("verify", weights_of(*SHORT_RANGE)[0].name).exit_code == ExitCode.OK


def test_list_shows_every_variant_with_its_state(mirror: Path) -> None:
    models_command("pull", "--mirror", str(mirror))
    lines = models_command("list").stdout.splitlines()
    variant, _ = weights_of(*SHORT_RANGE)
    (row,) = [line for line in lines if variant.file in line]
    assert "Apache-2.0" in row
    assert "valid" in row
    assert sum("missing" in line for line in lines) == len(load_manifest().variants) - 1
