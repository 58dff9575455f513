"""Faces that fill a picture are looked for in a margin, and come back in the picture's own pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import ModelMissing, UsageError
from streamapp.evaluation.subject import even_if_filling, in_margin, open_subjects
from streamapp.frame import Image
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task
from tests.shared_data import shared_folder


def picture(height: int, width: int, face: tuple[int, int, int, int] | None) -> Image:
    rgb = np.full((height, width, 3), 9, np.uint8)
    if face is not None:
        rgb[face[1] : face[3], face[0] : face[2]] = 200
    return rgb


def find_bright(rgb: Image) -> Face | None:
    """The bright part, unless it touches the edge of the picture."""
    rows, columns = np.nonzero(rgb[:, :, 0] == 200)
    if not len(rows) or rows.min() == 0:
        return None
    box = np.array((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), np.float32)
    return Face(box, np.tile(box[:2], (5, 1)))


def test_a_margin_shifts_nothing() -> None:
    rgb = picture(40, 60, (0, 0, 50, 40))
    assert find_bright(rgb) is None
    face = in_margin(find_bright, rgb)
    assert face is not None
    assert face.landmarks is not None
    assert face.box.tolist() == [0, 0, 50, 40]
    assert face.landmarks[0].tolist() == [0, 0]


def test_the_margin_is_for_faces_that_fill_the_picture() -> None:
    looked_at = []

    def find(rgb: Image) -> Face | None:
        looked_at.append(rgb.shape[:2])
        return find_bright(rgb)

    assert even_if_filling(find)(picture(40, 60, (20, 10, 40, 30))) is not None
    assert looked_at == [(40, 60)]
    assert even_if_filling(find)(picture(40, 60, (20, 5, 55, 30))) is not None
    assert looked_at[1:] == [(40, 60), (100, 120)]
    assert even_if_filling(find)(picture(40, 60, None)) is None


def test_models_are_named_once_and_must_be_there(tmp_path: Path) -> None:
    registry = Registry(load_manifest(), tmp_path)
    with pytest.raises(ModelMissing, match="models pull"):
        open_subjects(registry, Task.ANTISPOOF, (), catalogue.antispoofer)
    with pytest.raises(UsageError, match="twice"):
        open_subjects(registry, Task.ANTISPOOF, ("antispoof-mn3", "antispoof-mn3"), catalogue.antispoofer)
    with pytest.raises(UsageError):
        open_subjects(registry, Task.ANTISPOOF, ("genderage",), catalogue.antispoofer)


@pytest.mark.weights
def test_without_names_all_that_are_installed_are_tested() -> None:
    registry = Registry(load_manifest(), shared_folder("models"))
    subjects = open_subjects(registry, Task.ANTISPOOF, (), catalogue.antispoofer)
    assert [subject.name for subject in subjects] == [v.name for v in registry.installed(Task.ANTISPOOF)]
