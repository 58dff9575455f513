"""`streamapp replay`: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp import __version__
from streamapp.assets import asset
from streamapp.cli_replay import ReplayOptions, replay_clip, tolerances_of
from streamapp.errors import ExitCode, ModelError, UsageError
from streamapp.faces import Mode
from streamapp.replay.clip import open_clip
from streamapp.replay.differences import TOLERANCES
from streamapp.replay.golden import read_record
from streamapp.replay.run import replay
from streamapp.sections import PipelineSettings
from streamapp.settings import Settings
from tests.coded_video import write_video
from tests.replay.sessions import frames_of, settings_of, write_results
from tests.replay.test_clip import write_entry
from tests.test_cli import streamapp
from tests.weights import models_folder

DEMO = asset("recordings/demo.mp4")
FRAMES = 60
Lines = list[dict[str, object]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return models_folder(tmp_path / "models")


@pytest.fixture
def settings(folder: Path) -> Settings:
    return settings_of(folder)


@pytest.fixture
async def results(tmp_path: Path, settings: Settings) -> Path:
    """As `run` writes them, of the demo clip's beginning."""
    first = frames_of(FRAMES)
    replayed = await replay(open_clip(DEMO), Mode.FAST, settings, first)
    return write_results(tmp_path / "results.jsonl", list(replayed.results))


def options(
    clip: Path = DEMO,
    against: Path | None = None,
    *,
    update: Path | None = None,
    mode: Mode | None = None,
    tolerances: tuple[str, ...] = (),
    exact: bool = False,
    as_json: bool = False,
) -> ReplayOptions:
    return ReplayOptions(clip, against, update, mode, tolerances, exact, as_json, limit=40)


def edited(path: Path, change: Callable[[Lines], object]) -> Path:
    """The same results but for a change."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    other = path.with_name("edited.jsonl")
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return other


def renamed(lines: Lines) -> None:
    tracks = lines[40]["tracks"]
    assert isinstance(tracks, list)
    tracks[0]["state"] = "tentative"
    tracks[0]["box"] = [side + 0.6 for side in tracks[0]["box"]]


@pytest.mark.weights
def test_its_output_and_exit_codes_as_a_program(folder: Path, results: Path) -> None:
    environment = {**os.environ, "STREAMAPP_MODELS__DIR": str(folder)}
    same = streamapp("replay", str(DEMO), "--against", str(results), "--exact", environment=environment)
    assert (same.returncode, same.stderr) == (0, "")
    assert f"{FRAMES} frames, decided anew" in same.stdout
    assert same.stdout.splitlines()[-1] == "No decision differs."

    differs = streamapp("replay", str(DEMO), "--against", str(edited(results, renamed)), environment=environment)
    assert (differs.returncode, differs.stderr) == (1, "")
    (row,) = [line for line in differs.stdout.splitlines() if "tentative" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == ["40", "1", "state", "tentative", "confirmed"]
    assert "1 differences in 1 frames" in differs.stdout

    wrong = streamapp("replay", str(DEMO), "--against", __file__, environment=environment)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: ")
    assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.weights
async def test_machines_get_json_and_tolerances_can_be_set(
    settings: Settings, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    against = edited(results, renamed)
    code = await replay_clip(options(against=against, as_json=True, tolerances=("box=0.5",)), settings)
    told = json.loads(capsys.readouterr().out)
    assert (code, told["same"], told["fields"]) == (ExitCode.CHECK_FAILED, False, {"box": 1, "state": 1})


@pytest.mark.weights
async def test_a_golden_is_written_and_holds(
    settings: Settings, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = tmp_path / "demo.golden.jsonl"
    assert await replay_clip(options(against=results, update=golden), settings) is ExitCode.OK
    assert capsys.readouterr().err == f"{FRAMES} results written to {golden}\n"
    record = read_record(golden)
    assert record.conditions is not None
    assert [model.task for model in record.conditions.models] == ["screen"]
    assert await replay_clip(options(against=golden, exact=True), settings) is ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1:] == ["No decision differs."]

    stricter = settings.model_copy(update={"pipeline": PipelineSettings(confirm_hits=3)})
    assert await replay_clip(options(against=golden), stricter) is ExitCode.CHECK_FAILED
    assert capsys.readouterr().out.splitlines()[1] == "not as it was: setting pipeline.confirm_hits 2, now 3"

    golden.write_text(golden.read_text().replace('"sha256": "', '"sha256": "00', 1))
    assert await replay_clip(options(against=golden), settings) is ExitCode.OK, "the content decides"
    assert capsys.readouterr().out.splitlines()[1].endswith("has other weights")


@pytest.mark.weights
async def test_bad_input_is_refused(settings: Settings, results: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    await replay_clip(options(against=results, update=golden), settings)
    other = write_video(tmp_path / "other.mp4", 5)
    live = edited(results, lambda lines: lines.pop(7))
    for asked, problem in (
        (options(), "say what to compare with"),
        (options(against=tmp_path / "absent"), "cannot be read"),
        (options(other, golden), "of another clip"),
        (options(other, results), "another size"),
        (options(tmp_path / "absent.mp4", results), "there is no clip"),
        (options(against=results, tolerances=("box",)), "a tolerance is FIELD=NUMBER"),
        (options(against=live, mode=Mode.STANDARD), "in mode fast"),
    ):
        with pytest.raises(UsageError, match=problem) as caught:
            await replay_clip(asked, settings)
        assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.weights
async def test_a_missing_model_is_named(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="streamapp models pull") as caught:
        await replay_clip(options(against=results), settings_of(tmp_path))
    assert caught.value.exit_code is ExitCode.MODEL_INVALID


@pytest.mark.weights
async def test_a_recording_is_replayed_against_its_own_results(
    settings: Settings, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is on disk: a folder with the videos, what it says of them, and the results from the first I-frame on."""
    shutil.copy(DEMO, tmp_path / "video-1.mp4")
    write_entry(tmp_path, [("video-1.mp4", 100.0)])
    recorded = [replace(one, frame=one.frame + 5, pts_s=one.pts_s + 100) for one in read_record(results).results]
    header = {"recording": {"format": 1, "app_version": __version__, "mode": "fast", "stream": "cam"}}
    write_results(tmp_path / "results.jsonl", recorded, header=json.dumps(header))
    assert await replay_clip(options(tmp_path, exact=True), settings) is ExitCode.OK
    first, warning, last = capsys.readouterr().out.splitlines()
    assert "the session as it went" in first
    assert "begins at frame 5" in warning
    assert last == "No decision differs."


def test_tolerances_are_the_usual_ones_with_changes_or_none() -> None:
    assert tolerances_of(["box=3", "age_s=0.1"], exact=False) == {**TOLERANCES, "box": 3.0, "age_s": 0.1}
    assert tolerances_of(["box=3"], exact=True) == {"box": 3.0}
    for wrong in ("box", "=1", "box=x", "box=-1", "box=nan"):
        with pytest.raises(UsageError):
            tolerances_of([wrong], exact=False)
