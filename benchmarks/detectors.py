"""The floor of every figure: a bare face detector, called as its documentation shows; and the app's own."""

from __future__ import annotations

import os
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions, RunningMode

from benchmarks.media import shared_dir
from streamapp.frame import Image
from streamapp.sections import ModelSettings
from streamapp.settings import Settings, load_settings
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task


def measured_settings() -> Settings:
    """The app's settings as they are here; weights that are not installed are taken from the shared test data."""
    settings = load_settings()
    shared = shared_dir()
    if not Registry.from_settings(settings).installed(Task.SCREEN) and shared is not None:
        models = ModelSettings.model_validate({**settings.models.model_dump(), "dir": shared / "models"})
        settings = settings.model_copy(update={"models": models})
    screening_weights(settings)
    return settings


def screening_weights(settings: Settings) -> Path:
    """The weights file the app screens with. Raises ModelMissing with the command that helps."""
    registry = Registry.from_settings(settings)
    return registry.verified(registry.chosen(Task.SCREEN, settings.models.screener))


def app_environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment for a process of the app that must find the same weights, and that starts no streams by itself;
    `more` are further settings."""
    ours = {"STREAMAPP_MODELS__DIR": str(settings.models.dir.absolute()), "STREAMAPP_SERVER__KEEP_STREAMS": "false"}
    return {**os.environ, **ours, **more}


class BareMediaPipe:
    """MediaPipe's face detector and nothing else, in VIDEO mode as for a stream."""

    def __init__(self, weights: Path, min_score: float) -> None:
        options = FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=weights.read_bytes()),
            running_mode=RunningMode.VIDEO,
            min_detection_confidence=min_score,
        )
        self._detector = FaceDetector.create_from_options(options)

    def detect(self, rgb: Image, pts_s: float) -> int:
        """The number of faces in an RGB array of any size."""
        picture = mp.Image(mp.ImageFormat.SRGB, np.ascontiguousarray(rgb))
        return len(self._detector.detect_for_video(picture, round(pts_s * 1e3)).detections)

    def close(self) -> None:
        self._detector.close()
