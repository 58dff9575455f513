"""`streamapp evaluate` on real pictures with real weights, and its answers to bad input."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli import app
from streamapp.errors import ModelMissing, UsageError
from tests.shared_data import shared_file, shared_folder

Evaluate = Callable[..., Result]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Runs a command with the shared weights; skips the test where they are absent."""
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(shared_folder("models")))
    return lambda *words: CliRunner().invoke(app, ["evaluate", *map(str, words)])


def rows(output: str) -> list[list[str]]:
    """The cells of the rows of every table."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def table(path: Path, *labelled: tuple[Path, str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *labelled])
    return path


@pytest.mark.weights
@pytest.mark.media
def test_standard_finds_what_short_range_mediapipe_cannot(evaluate: Evaluate) -> None:
    done = evaluate("detection", shared_folder("media/groups"), "--mode", "fast,standard")
    assert done.exit_code == 0, done.output
    found = {name: (int(fast), int(standard)) for name, fast, standard in rows(done.output)}
    assert len(found) == 4
    assert all(fast < standard for fast, standard in found.values())
    assert found["facenet_pytorch_multiface.jpg"] == (0, 6)
    assert found["uniface_src_meeting.jpg"][1] == 5
    assert "Nothing is labelled" in done.output


@pytest.mark.weights
@pytest.mark.media
def test_labelled_faces_give_recall_and_precision_per_mode(evaluate: Evaluate) -> None:
    done = evaluate("detection", shared_folder("media/boxes"))
    assert done.exit_code == 0, done.output
    figures = {(name, mode): rest for name, mode, *rest in rows(done.output)}
    assert figures["coco", "fast"][0].startswith("0.0%")
    assert figures["coco", "standard"][:2] == ["100.0% [51.0%, 100.0%] of 4"] * 2
    assert float(figures["coco", "precision"][3]) > 0.6
    for name in ("300w", "aflw", "cofw", "lapa", "wflw"):
        assert all(figures[name, mode][0].startswith("100.0%") for mode in ("standard", "precision"))
    assert int(figures["wflw", "standard"][2]) > 10
    assert figures["all", "fast"][0].endswith("of 12")
    for told in ("Not all faces are labelled in 300w, aflw, cofw, lapa, wflw", "A small sample: 4 labelled faces"):
        assert told in done.output


@pytest.mark.weights
@pytest.mark.media
def test_own_labels_count_what_is_made_up(evaluate: Evaluate, tmp_path: Path) -> None:
    meeting = shared_file("media/groups/uniface_src_meeting.jpg")
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({str(meeting): []}))
    done = evaluate("detection", labels, "--mode", "standard")
    assert done.exit_code == 0, done.output
    ((_, _, recall, precision, unjudged, *_),) = rows(done.output)
    assert (recall, precision.startswith("0.0%"), unjudged) == ("-", True, "0")
    assert "Not all faces" not in done.output


@pytest.mark.weights
@pytest.mark.media
def test_every_installed_anti_spoofing_model_is_judged(evaluate: Evaluate, tmp_path: Path) -> None:
    live, printed = shared_file("media/spoof/image_T1.jpg"), shared_file("media/spoof/image_F1.jpg")
    pictures = table(tmp_path / "spoof.csv", (live, "live"), (printed, "attack-print"))
    done = evaluate("liveness", pictures)
    assert done.exit_code == 0, done.output
    assert {row[0] for row in rows(done.output)} >= {"antispoof-bin-128", "minifasnet-v2"}
    assert all(cells[1:3] == ["0.0% [0.0%, 79.3%] of 1"] * 2 for cells in rows(done.output))
    for told in ("APCER print", "BPCER", "ACER", "A small sample: 2 pictures"):
        assert told in done.output
    fooled = evaluate("liveness", pictures, "--model", "minifasnet-v2", "--threshold", "0")
    assert [cells[1][:6] for cells in rows(fooled.output)] == ["100.0%"]


@pytest.mark.weights
@pytest.mark.media
def test_age_and_gender_are_better_than_guessing(evaluate: Evaluate) -> None:
    done = evaluate("age-gender", shared_folder("media/age_gender/utkface"))
    assert done.exit_code == 0, done.output
    ((model, error, _, gender),) = rows(done.output)
    assert model == "genderage-v1"
    assert float(error.split()[0]) < 13
    low = re.search(r"\[([\d.]+)%", gender)
    assert low is not None
    assert float(low[1]) > 50
    assert "A small sample: 63 people" in done.output


@pytest.mark.weights
@pytest.mark.media
def test_two_pictures_give_no_interval_of_the_auc(evaluate: Evaluate, tmp_path: Path) -> None:
    real, fake = (shared_file(f"media/deepfake/mesonet_{name}.jpg") for name in ("real00240", "df00204"))
    done = evaluate("deepfake", table(tmp_path / "df.csv", (real, "real"), (fake, "df")))
    assert done.exit_code == 0, done.output
    assert {row[0]: row[1] for row in rows(done.output)}["meso-inception-df"] == "1.0000 [too few for an interval]"
    assert "A small sample: 2 pictures" in done.output


@pytest.mark.weights
@pytest.mark.media
def test_weights_and_calibrations_come_from_pictures_of_different_people(evaluate: Evaluate, tmp_path: Path) -> None:
    people, curves = shared_folder("media/age_gender/utkface"), tmp_path / "curves.toml"
    written = evaluate("calibrate", people, "--write", curves, "--face-px", "20")
    assert written.exit_code == 0, written.output
    assert "--face-px 20` on 63 pictures" in curves.read_text()
    assert "A small sample" in curves.read_text()
    fitted = evaluate("weights", people, "--face-px", "20", "--calibration", curves)
    shares = {name: float(weight) for name, weight, *_ in rows(fitted.output)}
    assert sum(shares.values()) == pytest.approx(1, abs=0.02)
    assert shares["arcface-mbf-w600k-int8"] > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("detection", ".", "--mode", "fast,slow"), "'slow' is not a valid Mode"),
        (("detection", "gone"), "gone does not exist"),
        (("detection", "."), "has no pictures"),
        (("liveness", "."), "neither a labels.csv"),
        (("liveness", "gone.csv"), "gone.csv cannot be read"),
        (("age-gender", "."), "has no pictures"),
        (("deepfake", "gone.csv"), "gone.csv cannot be read"),
        (("recognition", "gone.csv"), "gone.csv cannot be read"),
        (("calibrate", "gone", "--write", "x.toml"), "gone is not a folder"),
        (("weights", "."), "has no pictures"),
    ],
)
def test_bad_input_is_told_in_one_line(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["evaluate", *words])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


@pytest.mark.parametrize("member", ["adaface-ir101=0", "adaface-ir101=x", "adaface-ir101=nan", "no-such-model"])
def test_members_are_known_and_weigh_something(member: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("file_x,file_y,Decision\na.png,b.png,Yes\n")
    done = CliRunner().invoke(app, ["evaluate", "recognition", str(pairs), "--member", member])
    assert isinstance(done.exception, UsageError)


@pytest.mark.media
def test_a_missing_model_comes_with_the_command_that_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(tmp_path))
    done = CliRunner().invoke(app, ["evaluate", "detection", str(shared_folder("media/groups"))])
    assert isinstance(done.exception, ModelMissing)
    assert "models pull" in str(done.exception)
