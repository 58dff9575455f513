"""The pictures, videos and weights that tests use but that may not be part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parent.parent


def shared_dir() -> Path | None:
    """The folder with models/, graphs/ and media/: STREAMAPP_TEST_SHARED, or `shared` beside the checkout."""
    named = os.environ.get("STREAMAPP_TEST_SHARED")
    folder = Path(named) if named else _CHECKOUT.parent / "shared"
    return folder if folder.is_dir() else None


def shared_file(relative: str) -> Path:
    """A file of the shared folder; skips the calling test, by name, where it is absent."""
    folder = shared_dir()
    path = folder / relative if folder else None
    if path is None or not path.is_file():
        pytest.skip(f"test data {relative} is absent (set STREAMAPP_TEST_SHARED)")
    return path


def shared_folder(relative: str) -> Path:
    """A folder of the shared folder; skips the calling test, by name, where it is absent."""
    folder = shared_dir()
    path = folder / relative if folder else None
    if path is None or not path.is_dir():
        pytest.skip(f"test data {relative}/ is absent (set STREAMAPP_TEST_SHARED)")
    return path
