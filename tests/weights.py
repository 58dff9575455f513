"""Where tests find real weights: what `streamapp models pull` got, else the shared folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.spec import Digest, Variant
from tests.shared_data import shared_dir

_MODELS = Path(__file__).parent.parent / "models"

SHORT_RANGE = ("blazeface-short-range", "blazeface-short-range-tasks")
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
