"""Where tests find real weights: what `streamapp models pull` got, else the shared folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.spec import Digest, Variant
from tests.shared_data import shared_dir

_MODELS = Path(__file__).parent.parent / "models"

SHORT_RANGE = ("blazeface-short-range", "blazeface-short-range-tasks")
FULL_MODE = (
    *("yolov8-lite-t-face", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"),
    *("arcface-mbf-w600k-int8", "antispoof-bin-128"),
)
FULL_RANGE = ("blazeface-full-range-sparse",)


def weights_of(*names: str) -> tuple[Variant, Path]:
    """The first of these variants whose file is there, and right; skips the calling test, by name, if none is."""
    shared = shared_dir()
    folders = [_MODELS, *([shared / "models"] if shared else [])]
    for variant in map(load_manifest().named, names):
        for path in (folder / variant.file for folder in folders):
            if path.is_file():
                assert variant.mismatch(Digest.of_file(path)) is None, path
                return variant, path
    pytest.skip(f"weights {' or '.join(names)} are absent (run `streamapp models pull`)")


def models_folder(folder: Path, *, without: str = "") -> Path:
    """A models folder of links to every file of weights there is, but that of the variant `without`. Skips the calling
    test where there are none."""
    left_out = load_manifest().named(without).file if without else None
    shared = shared_dir()
    for source in (_MODELS, *([shared / "models"] if shared else [])):
        for variant in load_manifest().variants:
            link, path = folder / variant.file, source / variant.file
            if path.is_file() and not link.exists() and variant.file != left_out:
                link.symlink_to(path.resolve())
    if not any(folder.iterdir()):
        pytest.skip("no weights are there (run `streamapp models pull`)")
    return folder


def need_full_mode() -> None:
    """Skips the calling test, by name, where a model is absent without which mode full says too little of a face."""
    for name in FULL_MODE:
        weights_of(name)
