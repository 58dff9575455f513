"""`streamapp plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli_plan import plan_app
from streamapp.errors import DeviceLost, ExitCode, OverBudget


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_command(*arguments: str) -> Result:
    return CliRunner().invoke(plan_app, arguments)


def test_the_table_says_what_becomes_of_every_model_and_what_is_compared() -> None:
    result = plan_command("--budget-mb", "2000", "--profile", "full")
    assert result.exit_code == ExitCode.OK
    rows = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert "resident" in rows["yolov10n-face"]
    assert "swaps" in rows["adaface-ir101"]
    assert "manifest" in rows["adaface-ir101"]
    assert "not known" in rows["deepfake-vit-v2-fp16"]
    assert "6084 of 6000 MB" in result.stdout
    assert "All of it would stay resident in" in result.stdout


def test_the_json_has_every_number() -> None:
    result = plan_command("--budget-mb", "6000", "--profile", "full", "--device", "cuda", "--json")
    assert result.exit_code == ExitCode.OK
    told = json.loads(result.stdout)
    assert told["needed_bytes"] <= 6000e6
    assert told["lacks"] is None
    assert told["separate_services"] == {"services": 7, "limits_mb": 6084, "card_mb": 6000}
    assert {placement["fate"] for placement in told["plan"]["placements"]} == {"resident"}


def test_a_profile_that_cannot_run_is_over_budget() -> None:
    result = plan_command("--budget-mb", "512", "--profile", "full", "--json")
    assert isinstance(result.exception, OverBudget)
    assert result.exception.exit_code == ExitCode.OVER_BUDGET
    assert json.loads(result.stdout)["lacks"] == str(result.exception)


def test_the_settings_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_SCHEDULER__BUDGET_MB", "777")
    monkeypatch.setenv("STREAMAPP_SCHEDULER__RESERVE_MB", "7")
    monkeypatch.setenv("STREAMAPP_MODELS__PROFILE", "light")
    told = json.loads(plan_command("--json").stdout)["plan"]
    assert (told["budget_bytes"], told["reserve_bytes"], told["profile"]) == (777_000_000, 7_000_000, "light")


def test_all_of_a_gpu_that_is_not_there_is_no_budget() -> None:
    result = plan_command("--device", "cuda", "--profile", "light")
    assert isinstance(result.exception, DeviceLost)
