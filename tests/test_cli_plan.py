"""`streamapp plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli_plan import plan_app
from streamapp.errors import DeviceLost, ExitCode, OverBudget, UsageError
from tests.server_process import serving


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
    assert "MIT" in rows["adaface-ir101"]
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


def test_a_running_server_tells_what_it_has(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        told = plan_command("--live", server.url)
        assert told.exit_code == 0, told.output
        assert "0 of" in told.output
        assert "lanes at work" in told.output
        status = json.loads(plan_command("--live", server.url, "--json").stdout)
        assert status["memory"]["budget_mb"] > 0
        assert set(status["jobs"]["queued"]) == {"new_face", "uncertain", "refresh", "image", "background"}


@pytest.mark.parametrize("address", ["https://127.0.0.1", "127.0.0.1:8000", "http://"])
def test_what_is_no_address_of_a_server_is_refused(address: str) -> None:
    assert isinstance(plan_command("--live", address).exception, UsageError)


def test_nobody_there_is_said_so(unused_tcp_port: int) -> None:
    error = plan_command("--live", f"http://127.0.0.1:{unused_tcp_port}").exception
    assert isinstance(error, UsageError)
    assert "streamapp serve" in str(error)
