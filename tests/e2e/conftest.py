"""Fixtures of the browser tests: one browser per module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener
from tests.browser import open_blank_page, open_browser
from tests.camera_file import face_clip, write_camera
from tests.server_process import models_dir


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded face for the browser's camera, 640x480 at 30 fps."""
    return write_camera(face_clip(), tmp_path_factory.mktemp("camera") / "face.mjpeg")


@pytest.fixture(scope="module")
def camera_browser(camera_file: Path) -> Iterator[Browser]:
    """A browser whose camera may be used without asking."""
    with open_browser(camera=camera_file) as browser:
        yield browser


@pytest.fixture(scope="module")
def blank_page() -> Iterator[Page]:
    """A page with nothing on it, for the page's modules by themselves."""
    with open_browser() as browser, open_blank_page(browser) as page:
        yield page


@pytest.fixture(scope="session")
def screener() -> Iterator[FaceScreener]:
    """The detector that the server uses, called directly."""
    screener = open_screener(Settings(models=ModelSettings(dir=models_dir())))
    yield screener
    screener.close()
