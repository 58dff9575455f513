"""The header of a recording names the models and settings that its results come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamapp.faces import Mode
from streamapp.recording.description import header_of
from streamapp.recording.entry import RecordingHeader
from streamapp.sections import ModelSettings, PipelineSettings
from streamapp.settings import Settings
from streamapp.zoo.lineup import Lineup
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device
from tests.weights import models_folder


@dataclass
class Described:
    mode: Mode
    name: str = "door"
    description: str = "rtsp://***@camera.lan/live"
    private: bool = False


def described(folder: Path, mode: Mode) -> tuple[RecordingHeader, Lineup]:
    settings = Settings(
        models=ModelSettings(dir=models_folder(folder)), pipeline=PipelineSettings(min_score=0.625, confirm_hits=3)
    )
    registry = Registry.from_settings(settings)
    lineup = Lineup.from_settings(registry, settings, Device.CPU)
    return header_of(Described(mode), settings, lineup, registry, gallery_version=7), lineup


def test_fast_uses_the_screener_only(tmp_path: Path) -> None:
    header, lineup = described(tmp_path, Mode.FAST)
    assert (header.stream, header.source, header.mode) == ("door", "rtsp://***@camera.lan/live", Mode.FAST)
    assert [model.task for model in header.models] == ["screen"]
    assert header.models[0].runtime == "litert"
    assert header.models[0].sha256 == lineup.variants[header.models[0].variant].sha256
    assert header.gallery_version is None
    assert header.settings["pipeline"] == {"min_score": 0.625, "max_coast_s": 0.7, "confirm_hits": 3}


def test_full_names_every_model_and_the_gallery(tmp_path: Path) -> None:
    header, lineup = described(tmp_path, Mode.FULL)
    assert {model.variant for model in header.models} == set(lineup.variants)
    assert header.gallery_version == 7
    assert all(model.runtime for model in header.models)


def test_two_recordings_have_two_names(tmp_path: Path) -> None:
    first, second = described(tmp_path, Mode.FAST)[0], described(tmp_path, Mode.FAST)[0]
    assert first.id != second.id
    assert RecordingHeader.model_validate_json(first.model_dump_json()) == first
