from __future__ import annotations

import pytest

from streamapp.evaluation.tables import print_table
from streamapp.zoo.manifest import load_manifest


def test_a_table_that_names_models_has_the_licences_of_their_weights(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["adaface-ir101 + facenet-vggface2", "0.9"], ["mean", "0.8"]]
    print_table("Verification", ["model", "TAR"], rows, ["A note.", ""])
    *_, note, weights = capsys.readouterr().out.splitlines()
    manifest = load_manifest()
    assert note == "A note."
    assert weights.startswith("Weights: ")
    for name in ("adaface-ir101", "facenet-vggface2"):
        assert f"{name}: {manifest.licence_of(name)}" in weights


def test_a_table_without_models_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Tracks", ["clip", "switches"], [["hall", "3"]], [])
    assert "Weights" not in capsys.readouterr().out
