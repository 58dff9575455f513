"""Where the files are that are not Python: the page, the model manifest and the demo clip."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def asset(relative: str) -> Path:
    """The path of an asset: beside the package in a checkout, inside it when installed from a wheel."""
    packaged = _PACKAGE / "_assets" / relative
    return packaged if packaged.exists() else _PACKAGE.parent / relative
