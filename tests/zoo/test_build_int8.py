"""The builder of int8 forms writes what holds and refuses what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamapp.zoo import catalogue
from streamapp.zoo.base import infer
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from tests.sessions import largest_face, picture, session_of
from tests.shared_data import shared_folder
from tests.weights import weights_of

CHECKOUT = Path(__file__).parents[2]

pytestmark = [pytest.mark.weights, pytest.mark.media, pytest.mark.timeout(300)]


def build(variant: str, target: Path, *, given: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command on the shared portraits and chips of faces."""
    pytest.importorskip("onnx")
    media, models = shared_folder("media"), shared_folder("models")
    program = [sys.executable, str(CHECKOUT / "models" / "build_int8.py"), variant]
    pictures = [str(media / "portraits"), str(media / "age_gender")]
    return subprocess.run(
        [*program, str(given or weights_of(variant)[1]), str(target), "--pictures", *pictures, "--models", str(models)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_a_form_that_holds_is_written_and_pinned_when_it_is_pulled(tmp_path: Path) -> None:
    registry = Registry(load_manifest(), tmp_path)
    variant = registry.manifest.named("mobilefacenet-foamliu-int8")
    done = build("mobilefacenet-foamliu", tmp_path / variant.file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cosine between the two" in done.stdout
    registry.pull((variant,), mirror=None)
    rgb = picture("portraits/uniface_image0.jpg")
    models = [catalogue.recogniser(name) for name in (variant.name, "mobilefacenet-foamliu")]
    sessions = [catalogue.load(registry, variant, SessionOptions()), session_of("mobilefacenet-foamliu")]
    face = largest_face(rgb)
    ours, plain = (infer(s, m, [m.cut(rgb, face)])[0] for s, m in zip(sessions, models, strict=True))
    assert ours.model == variant.name
    assert float(ours.vector @ plain.vector) > 0.95
    assert not np.array_equal(ours.vector, plain.vector)


def test_a_form_that_does_not_hold_is_not_written(tmp_path: Path) -> None:
    done = build("genderage-v1", tmp_path / "out.onnx")
    assert done.returncode == 1
    assert "FAIL  same gender" in done.stdout
    assert "does not hold" in done.stderr
    assert not list(tmp_path.iterdir())


def test_another_file_than_the_variants_is_refused(tmp_path: Path) -> None:
    done = build("genderage-v1", tmp_path / "out.onnx", given=weights_of("mtcnn-rnet")[1])
    assert done.returncode == 1
    assert "is not genderage-v1" in done.stderr
    assert not list(tmp_path.iterdir())
