"""`streamapp bench`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli_bench import MAX_SECONDS, MAX_STREAMS, bench_app
from streamapp.errors import ExitCode, UsageError


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(bench_app, arguments)


def test_a_simulation_prints_a_plan_for_each_fleet_and_what_it_rests_on() -> None:
    pytest.importorskip("simpy")
    result = bench("simulate", "--cameras", "10", "--cameras", "100000", "--seconds", "5", "--sample", "1")
    assert result.exit_code == ExitCode.OK
    assert "100,000" in result.stdout
    assert "(1 simulated)" in result.stdout
    assert "price (assumed): 0.64 an hour" in result.stdout
    assert "python -m benchmarks.rtsp" in result.stdout


def test_the_json_has_every_number() -> None:
    pytest.importorskip("simpy")
    result = bench("simulate", "--cameras", "100", "--seconds", "5", "--sample", "2", "--json")
    (plan,) = json.loads(result.stdout)
    assert plan["cameras"] == 100
    assert plan["machines"] == -(-100 // plan["cameras_a_machine"])
    assert plan["simulated"] == 2


@pytest.mark.parametrize(
    "arguments", [("--machine", "mainframe"), ("--lineup", "heavy"), ("--costs", "absent.toml")], ids=lambda a: a[0]
)
def test_what_is_not_known_is_refused(arguments: tuple[str, str]) -> None:
    pytest.importorskip("simpy")
    assert isinstance(bench("simulate", *arguments).exception, UsageError)


def test_without_simpy_the_command_that_helps_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simpy", None)
    for name in ("fleet", "simulation", "simulated_device"):
        monkeypatch.delitem(__import__("sys").modules, f"streamapp.capacity.{name}", raising=False)
    error = bench("simulate").exception
    assert isinstance(error, UsageError)
    assert "streamapp[capacity]" in str(error)


@pytest.mark.parametrize(
    "arguments",
    [("--webrtc", str(MAX_STREAMS + 1)), ("--clips", str(MAX_STREAMS + 1)), ("--seconds", str(MAX_SECONDS + 1))],
    ids=lambda a: a[0],
)
def test_a_load_is_bounded(arguments: tuple[str, str]) -> None:
    assert bench("load", "http://127.0.0.1:8000", *arguments).exit_code == ExitCode.USAGE


def test_a_load_needs_streams_and_stays_on_this_machine() -> None:
    assert isinstance(bench("load", "http://127.0.0.1:8000").exception, UsageError)
    assert "--elsewhere" in str(bench("load", "http://192.0.2.1", "--webrtc", "1").exception)
