"""Weights are checked before every load, and what is wrong is said with the command that mends it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp.choices import ScreenRuntime
from streamapp.errors import DownloadFailed, ModelInvalid, ModelMissing, UsageError
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.zoo.fetch import Fetched
from streamapp.zoo.manifest import Manifest
from streamapp.zoo.registry import FileCondition, Inspection, Registry, open_screener
from streamapp.zoo.spec import Digest, Task, UrlSource
from tests.web_server import FileOnline, WebServer
from tests.weights import SHORT_RANGE, weights_of
from tests.zoo.variants import CONTENT, variant

UNKNOWN = {"sha256": None, "size_bytes": None}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two variants, nothing installed, but a models folder."""
    (tmp_path / "models").mkdir()
    return Registry(Manifest((variant("first"), variant("second"))), tmp_path / "models")


def install(registry: Registry, name: str, content: bytes = CONTENT) -> Path:
    path = registry.folder / registry.manifest.named(name).file
    path.write_bytes(content)
    return path


def test_a_file_is_missing_valid_or_invalid(registry: Registry) -> None:
    first, second = registry.manifest.variants
    install(registry, "second")
    assert registry.inspect(first).condition is FileCondition.MISSING
    assert registry.inspect(second).condition is FileCondition.VALID
    install(registry, "second", CONTENT[::-1])
    assert registry.inspect(second).condition is FileCondition.INVALID


def test_only_a_valid_file_is_given_out(registry: Registry) -> None:
    first, second = registry.manifest.variants
    path = install(registry, "second")
    assert registry.verified(second) == path
    with pytest.raises(ModelMissing, match="run `streamapp models pull first`"):
        registry.verified(first)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ModelInvalid, match=r"not loaded; run `streamapp models pull second`"):
        registry.verified(second)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelInvalid, match="cannot be read"):
        registry.verified(second)


def test_a_file_is_hashed_again_only_after_it_changed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = Digest.of_file

    def counted(path: Path) -> Digest:
        read.append(path)
        return real(path)

    monkeypatch.setattr(Digest, "of_file", counted)
    path = install(registry, "first")
    first = registry.manifest.variants[0]
    registry.verified(first)
    registry.verified(first)
    assert len(read) == 1
    state = path.stat()
    path.write_bytes(CONTENT[::-1])  # same size
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(ModelInvalid):
        registry.verified(first)
    replacement = path.with_suffix(".new")
    replacement.write_bytes(CONTENT)
    os.utime(replacement, ns=(state.st_atime_ns, state.st_mtime_ns + 1))  # same size and time, another inode
    replacement.replace(path)
    assert registry.verified(first) == path


def test_the_named_variant_is_chosen_else_the_first_that_is_there(registry: Registry) -> None:
    with pytest.raises(ModelMissing, match=r"no model for task screen is in .*models/; run `streamapp models pull`"):
        registry.chosen(Task.SCREEN, None)
    install(registry, "second")
    assert registry.chosen(Task.SCREEN, None).name == "second"
    install(registry, "first")
    assert registry.chosen(Task.SCREEN, None).name == "first"
    assert registry.chosen(Task.SCREEN, "second").name == "second"
    with pytest.raises(UsageError, match="known: first, second"):
        registry.chosen(Task.SCREEN, "third")


def test_what_is_there_and_valid_is_not_fetched(registry: Registry) -> None:
    install(registry, "second")
    got = registry.pull(registry.manifest.variants, mirror="ftp://would-be-refused")
    assert isinstance(got, Inspection)
    assert got.variant.name == "second"


def test_a_wrong_file_is_fetched_anew_and_no_other_will_do(registry: Registry, tmp_path: Path) -> None:
    install(registry, "first", b"tampered with")
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "second.tflite").write_bytes(CONTENT)
    with pytest.raises(DownloadFailed):
        registry.pull(registry.manifest.variants, mirror=str(mirror))
    assert registry.installed(Task.SCREEN) == (registry.manifest.variants[0],)
    (mirror / "first.tflite").write_bytes(CONTENT)
    got = registry.pull(registry.manifest.variants, mirror=str(mirror))
    assert isinstance(got, Fetched)
    assert registry.verified(got.variant).read_bytes() == CONTENT


def test_without_a_checksum_a_file_is_pinned_at_its_first_download(registry: Registry) -> None:
    with WebServer(FileOnline(CONTENT)) as server:
        net = replace(variant("net"), sources=(UrlSource(server.url),), **UNKNOWN)  # type: ignore[arg-type]
        unsure = Registry(Manifest((net,)), registry.folder)
        assert isinstance(unsure.pull((net,), mirror=None), Fetched)
    assert unsure.inspect(net).condition is FileCondition.VALID
    (unsure.folder / net.file).write_bytes(b"something else")
    with pytest.raises(ModelInvalid, match="sha256 is"):
        unsure.verified(net)


def test_a_file_put_there_by_hand_is_not_loaded_before_it_is_pinned(registry: Registry) -> None:
    net = replace(variant("first"), **UNKNOWN)  # type: ignore[arg-type]
    install(registry, "first")
    assert registry.inspect(net).condition is FileCondition.UNPINNED
    with pytest.raises(ModelInvalid, match=r"no checksum of .* is known yet; it is not loaded"):
        registry.verified(net)
    registry.pull((net,), mirror=None)
    assert registry.verified(net).is_file()


def test_a_changed_source_does_not_replace_what_was_pinned(registry: Registry) -> None:
    net = replace(variant("net"), **UNKNOWN)  # type: ignore[arg-type]
    with WebServer(FileOnline(CONTENT)) as server:
        registry.pull((replace(net, sources=(UrlSource(server.url),)),), mirror=None)
    (registry.folder / net.file).unlink()
    with (
        WebServer(FileOnline(CONTENT[::-1])) as server,
        pytest.raises(DownloadFailed, match="not the expected file: sha256"),
    ):
        registry.pull((replace(net, sources=(UrlSource(server.url),)),), mirror=None)


def test_pins_that_cannot_be_read_stop_the_load(registry: Registry) -> None:
    install(registry, "first")
    (registry.folder / "pins.json").write_text("{")
    with pytest.raises(ModelInvalid, match=r"pins\.json cannot be read"):
        registry.verified(registry.manifest.variants[0])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=ModelSettings(dir=tmp_path / "models"))


def test_without_weights_the_command_to_run_is_said(settings: Settings) -> None:
    with pytest.raises(ModelMissing, match="run `streamapp models pull`"):
        open_screener(settings)


@pytest.mark.weights
@pytest.mark.parametrize("runtime", ScreenRuntime)
def test_the_configured_runtime_opens_the_installed_variant(settings: Settings, runtime: ScreenRuntime) -> None:
    known, weights = weights_of(*SHORT_RANGE)
    settings.models.dir.mkdir()
    (settings.models.dir / known.file).symlink_to(weights)
    models = settings.models.model_copy(update={"runtime": runtime})
    screener = open_screener(settings.model_copy(update={"models": models}))
    try:
        assert screener.variant == known.name
        assert type(screener).__module__.endswith(
            {"litert": "blazeface_litert", "mediapipe": "mediapipe_face"}[runtime]
        )
    finally:
        screener.close()


@pytest.mark.weights
def test_weights_that_were_tampered_with_are_never_loaded(settings: Settings) -> None:
    known, weights = weights_of(*SHORT_RANGE)
    settings.models.dir.mkdir()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    (settings.models.dir / known.file).write_bytes(content)
    with pytest.raises(ModelInvalid, match="sha256 is"):
        open_screener(settings)
