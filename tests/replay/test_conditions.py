"""What is not as it was is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import GalleryError
from streamapp.faces import Mode
from streamapp.identification import Identification
from streamapp.models import Models
from streamapp.recording.entry import ModelInUse
from streamapp.replay.conditions import Conditions, conditions_of
from tests.replay.sessions import settings_of
from tests.weights import models_folder

NET = ModelInUse(task="detect", variant="net", sha256="ab", runtime="onnxruntime 1")
WAS = Conditions(
    app_version="0.1.0",
    mode=Mode.FULL,
    models=(NET,),
    settings={"pipeline": {"min_score": 0.5}},
    gallery="nobody enrolled",
    processor="x86_64 1",
)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"app_version": "0.2.0"}, ["app version 0.1.0, now 0.2.0"]),
        ({"models": (NET.model_copy(update={"sha256": "cd"}),)}, ["net has other weights"]),
        ({"models": (NET.model_copy(update={"runtime": "x"}),)}, ["net was run by onnxruntime 1, now by x"]),
        (
            {"models": (NET.model_copy(update={"variant": "other"}),)},
            ["detect is now done with other", "detect was done with net"],
        ),
        ({"settings": {"pipeline": {"min_score": 0.4}}}, ["setting pipeline.min_score 0.5, now 0.4"]),
        ({"gallery": "2 people, x"}, ["gallery: nobody enrolled; now: 2 people, x"]),
        ({"processor": "x86_64 2"}, ["processor x86_64 1, now x86_64 2: scores may differ in the last digits"]),
    ],
)
def test_each_change_is_named(changed: dict[str, object], told: list[str]) -> None:
    assert WAS.changes(WAS.model_copy(update=changed)) == told


def test_what_a_header_does_not_say_is_no_change() -> None:
    silent = Conditions.model_validate({"app_version": "0.1.0", "mode": "full", "stream": "cam", "codec": "h264"})
    assert silent.changes(WAS) == []


@pytest.mark.weights
async def test_they_are_those_of_the_models_that_take_part(tmp_path: Path) -> None:
    settings = settings_of(models_folder(tmp_path))
    async with Models.start(settings) as models:
        fast, full = [await conditions_of(mode, models, settings) for mode in (Mode.FAST, Mode.FULL)]
        models.identification = Identification(None, GalleryError("in use"))
        alone = await conditions_of(Mode.FULL, models, settings)
    assert [model.task for model in fast.models] == ["screen"]
    assert {model.task for model in full.models} >= {"screen", "detect", "recognise", "antispoof", "gender_age"}
    assert all(len(model.sha256 or "") == 64 for model in full.models)
    assert (fast.gallery, full.gallery, alone.gallery) == ("", "nobody enrolled", f"none ({GalleryError.code})")
    assert full.settings["pipeline"]["min_score"] == settings.pipeline.min_score
    assert full.changes(full) == []
