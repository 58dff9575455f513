"""What every test begins with, and is kept away from: what the person who runs them keeps in this checkout."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Ctrl-C ends what tests start, also where a shell that runs the suite in the background has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs started by a test inherit it."""
    folder = tmp_path_factory.mktemp("kept")
    monkeypatch.setenv("STREAMAPP_GALLERY__FILE", str(folder / "gallery.db"))
    monkeypatch.setenv("STREAMAPP_GALLERY__KEY_FILE", str(folder / "gallery.key"))
    monkeypatch.setenv("STREAMAPP_EVENTS__FILE", str(folder / "events.db"))
    monkeypatch.setenv("STREAMAPP_SERVER__TOKEN_FILE", str(folder / "tokens.json"))
    monkeypatch.setenv("STREAMAPP_SERVER__STREAMS_FILE", str(folder / "streams.json"))
    return folder
