"""The evaluation of recognisers never tests on what it was calibrated with; on real pictures the fusion holds up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from streamapp.cli_evaluate import evaluate_app, is_fusion_good
from streamapp.errors import UsageError
from streamapp.evaluation import recognition
from streamapp.evaluation.degradation import Degradation
from streamapp.evaluation.recognition import (
    FUSED,
    MEAN,
    Pair,
    Recogniser,
    RecognitionReport,
    cross_validated,
    evaluate,
    group_people,
    read_pairs,
)
from streamapp.evaluation.statistics import Scores
from streamapp.evaluation.subject import Subject
from streamapp.gallery.calibration import Calibration, parse_calibrations
from streamapp.zoo import catalogue
from tests.sessions import largest_face, session_of
from tests.shared_data import shared_file, shared_folder

FITTED = {"mobilefacenet-insightface-y1": 0.18, "arcface-mbf-w600k-int8": 0.82}
"""As `streamapp evaluate weights` has them, from pictures of other people."""
ENSEMBLE = {"mobilefacenet-insightface-y1": 0.25, "arcface-mbf-w600k-int8": 0.5, "mobilefacenet-foamliu": 0.25}


def test_pictures_of_one_person_are_grouped_through_chains_of_pairs() -> None:
    pairs = [Pair("a", "b", True), Pair("c", "b", True), Pair("a", "d", False), Pair("d", "e", True)]
    people = group_people(pairs)
    assert people["a"] == people["b"] == people["c"]
    assert people["d"] == people["e"] != people["a"]


def test_no_calibration_sees_the_people_it_is_tested_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p{i}" for i in range(20)]
    pairs = [Pair(a, b, a == b) for i, a in enumerate(names) for b in names[i:]]
    people = {name: i for i, name in enumerate(names)}
    same = np.array([pair.same for pair in pairs])
    cosines = np.arange(len(pairs)) / len(pairs)  # each pair is known by its score
    fitted: list[set[str]] = []
    original = Calibration.fit

    def fit(model: str, impostors: Scores) -> Calibration:
        indices = np.round(impostors * len(pairs)).astype(int)
        fitted.append({name for i in indices for name in (pairs[i].first, pairs[i].second)})
        assert not same[indices].any()
        return original(model, impostors)

    monkeypatch.setattr(Calibration, "fit", fit)
    levels = cross_validated(pairs, people, {"m": cosines}, {"m": 1.0}, same)
    assert np.isfinite(levels).all()
    assert len(fitted) == 15
    groups = [{people[name] % recognition.GROUPS for name in seen} for seen in fitted]
    assert all(len(seen) in (3, 4) for seen in groups)


@pytest.mark.parametrize("text", ["file_x,file_y\na,b\n", "file_x,file_y,Decision\na,b,Maybe\n"])
def test_a_list_of_pairs_is_checked(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_pairs(path)


def measured(weights: Mapping[str, float], degradation: Degradation) -> RecognitionReport:
    path = shared_file("media/pairs/deepface/master.csv")
    members = [Recogniser(Subject(catalogue.recogniser(name), session_of(name)), w) for name, w in weights.items()]
    curves = parse_calibrations((Path(__file__).parents[2] / "models" / "calibration.toml").read_text())
    return evaluate(path.parent, read_pairs(path), members, largest_face, calibrations=curves, degradation=degradation)


@pytest.mark.weights
@pytest.mark.media
def test_the_fusion_is_no_worse_than_its_best_member() -> None:
    report = measured(ENSEMBLE, Degradation())
    assert (report.same_pairs, report.different_pairs, report.without_face) == (38, 262, ())
    assert is_fusion_good(report)
    assert report.row("arcface-mbf-w600k-int8").auc.value > 0.999
    assert all(report.row(name).auc.value > 0.99 for name in ENSEMBLE)


@pytest.mark.weights
@pytest.mark.media
def test_on_small_faces_the_fusion_beats_a_plain_mean_and_fitted_weights_beat_fixed_ones() -> None:
    fixed, fitted = (measured(weights, Degradation(face_px=20)) for weights in (ENSEMBLE, FITTED))
    assert fixed.row(FUSED).auc.value > fixed.row(MEAN).auc.value
    assert fixed.row(MEAN).auc.value < max(fixed.row(name).auc.value for name in ENSEMBLE)
    assert fixed.fusion is not None
    assert fixed.fusion.best_member == "arcface-mbf-w600k-int8"
    assert fixed.fusion.auc_gain.value < 0
    assert is_fusion_good(fitted)
    assert fixed.fusion.false_accepts.estimate.low > 0.01  # a level is no promise for faces smaller than calibrated


@pytest.mark.weights
@pytest.mark.media
def test_the_command_prints_every_member_and_the_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(shared_folder("models")))
    pairs = str(shared_file("media/pairs/deepface/master.csv"))
    members = [word for name in list(ENSEMBLE)[:2] for word in ("--member", f"{name}=0.5")]
    done = CliRunner().invoke(evaluate_app, ["recognition", pairs, *members, "--cross-validate"])
    assert done.exit_code == 0, done.output
    for told in (*list(ENSEMBLE)[:2], "fusion", "TAR at FAR 0.1 %", "A small sample"):
        assert told in done.output
