"""The settings and the machine over HTTP: told in full but for secrets, checked, and never changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamapp.choices import Origin
from streamapp.sections import ModelSettings, ServerSettings
from streamapp.settings import Settings
from tests.server.conftest import Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.weights import SHORT_RANGE, weights_of

MIRROR = "https://ada:hunter2@mirror.lan/models"


async def shown(bench: Bench, name: str) -> dict[str, Any]:
    told = (await bench.http.get("/settings")).json()["settings"]
    found: dict[str, Any] = next(one for one in told if f"{one['section']}.{one['name']}" == name)
    return found


async def test_every_setting_is_told_with_its_meaning(start_bench: StartBench) -> None:
    async with start_bench(server=ServerSettings(max_streams=3)) as bench:
        response = await bench.http.get("/settings")
        assert response.headers["cache-control"] == "no-store"
        told = response.json()["settings"]
        fields = {
            (section, name)
            for section, field in Settings.model_fields.items()
            for name in field.annotation.model_fields  # type: ignore[union-attr]  # each is a model
        }
        assert {(one["section"], one["name"]) for one in told} == fields
        assert all(one["description"] for one in told)
        streams = await shown(bench, "server.max_streams")
        assert (streams["value"], streams["default"], streams["origin"]) == ("3", "16", Origin.COMMAND_LINE)
        assert streams["variable"] == "STREAMAPP_SERVER__MAX_STREAMS"
        assert (await shown(bench, "scheduler.keep_alive_s"))["unit"] == "seconds"
        assert (await shown(bench, "scheduler.budget_mb"))["value"] is None
        assert (await shown(bench, "server.host"))["value"] == '"127.0.0.1"'


async def test_no_secret_is_told(start_bench: StartBench) -> None:
    async with start_bench(models=ModelSettings(mirror=MIRROR)) as bench:
        response = await bench.http.get("/settings")
        assert "hunter2" not in response.text
        assert (await shown(bench, "models.mirror"))["value"] == '"https://***@mirror.lan/models"'
        lines = '[gallery]\npostgres_url = "postgresql://ada:hunter2@db/streamapp"'
        checked = await bench.http.post("/settings/check", json={"toml": lines})
        assert checked.status_code == 200
        assert "hunter2" not in checked.text
        (change,) = checked.json()["changes"]
        assert (change["section"], change["name"], change["was"]) == ("gallery", "postgres_url", None)


async def test_what_lines_would_change_is_told(start_bench: StartBench) -> None:
    async with start_bench(server=ServerSettings(max_streams=3)) as bench:
        lines = "[server]\nmax_streams = 5\nport = 8000\n[pipeline]\nmax_coast_s = 1"
        answer = (await bench.http.post("/settings/check", json={"toml": lines})).json()
        found = {f"{one['section']}.{one['name']}": one for one in answer["changes"]}
        assert set(found) == {"server.max_streams", "pipeline.max_coast_s"}
        assert found["server.max_streams"]["overridden_by"] == Origin.COMMAND_LINE
        assert found["pipeline.max_coast_s"]["overridden_by"] is None
        assert (found["pipeline.max_coast_s"]["was"], found["pipeline.max_coast_s"]["would_be"]) == ("0.7", "1.0")
        assert bench.runtime.settings.pipeline.max_coast_s == 0.7
        assert answer["file"] == "/streamapp.toml", "in the working directory"
        assert not await asyncio.to_thread(Path(answer["file"]).exists)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("[server]\nport = 70000", "server.port"),
        ("[server]\nprot = 1", "server.prot"),
        ("[sevrer]\nport = 1", "[sevrer]"),
        ("server = 1", "[server]"),
        ("[server]\ntls_cert = 'a.pem'", "go together"),
        ("[server", "TOML"),
        (f"a = {'[' * 4000}", "TOML"),
    ],
)
async def test_wrong_lines_are_named(start_bench: StartBench, lines: str, told: str) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/settings/check", json={"toml": lines})
        assert (response.status_code, problem(response)) == (400, "settings_invalid")
        assert told in response.json()["detail"]


async def test_long_lines_are_refused(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        assert (await bench.http.post("/settings/check", json={"toml": "#" * 8001})).status_code == 422
        assert (await bench.http.post("/settings/check", json={"toml": "#" * 20_000})).status_code == 413


async def test_the_machine_without_models_says_what_gets_them(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(models=ModelSettings(dir=tmp_path)) as bench:
        machine = (await bench.http.get("/machine")).json()
        assert machine["gpu"] is None
        checks = {one["name"]: one for one in machine["checks"]}
        assert checks["weights: mediapipe"]["remedy"] == "streamapp models pull"
        assert "port" not in checks, "the server has it"
        assert not any(model["installed"] for model in machine["models"])
        named = [model for model in machine["models"] if model["command"]]
        assert all(model["command"] == f"streamapp models pull {model['variant']}" for model in named)
        assert len(named) > 10


@pytest.mark.weights
async def test_installed_models_are_told_with_their_licence(start_bench: StartBench, tmp_path: Path) -> None:
    variant, path = weights_of(*SHORT_RANGE)
    (tmp_path / variant.file).symlink_to(path)
    async with start_bench(models=ModelSettings(dir=tmp_path)) as bench:
        models = (await bench.http.get("/machine")).json()["models"]
        (found,) = [model for model in models if model["installed"]]
        assert (found["variant"], found["system"], found["in_use"]) == (variant.name, "mediapipe", True)
        assert (found["licence"], found["commercial_use"], found["command"]) == ("Apache-2.0", True, None)
