"""Only verified weights are opened, whichever library runs them, and a device that was not to be had is told of."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamapp.choices import Backend
from streamapp.errors import ModelError, ModelInvalid, ModelMissing, RuntimeMissing
from streamapp.zoo import openvino_session, ort_session
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device, SessionOptions, lost_device, open_session
from streamapp.zoo.spec import Digest, Variant
from tests.fakes import ScriptedSession
from tests.weights import weights_of

HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
BATCH = np.random.default_rng(0).standard_normal((11, 3, 24, 24)).astype(np.float32)


@pytest.fixture(params=Backend)
def options(request: pytest.FixtureRequest) -> SessionOptions:
    """Each library in turn; one that is not installed is skipped by name."""
    if request.param is Backend.OPENVINO and not HAS_OPENVINO:
        pytest.skip("openvino is not installed (pip install 'streamapp[openvino]')")
    return SessionOptions(backend=request.param)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One small net with a free batch size."""
    _, path = weights_of("mtcnn-rnet")
    shutil.copy(path, tmp_path / path.name)
    return Registry(load_manifest(), tmp_path)


@pytest.fixture
def rnet(registry: Registry) -> Variant:
    return registry.manifest.named("mtcnn-rnet")


@pytest.mark.weights
def test_a_batch_of_any_length_gives_what_its_items_give_alone(
    registry: Registry, rnet: Variant, options: SessionOptions
) -> None:
    session = open_session(registry, rnet, options)
    alone = [np.concatenate(column) for column in zip(*(session.run(BATCH[i : i + 1]) for i in range(11)), strict=True)]
    for size in (1, 2, 3, 8, 9, 11):
        for together, single in zip(session.run(BATCH[:size]), alone, strict=True):
            assert together.shape == single[:size].shape
            assert np.abs(together - single[:size]).max() < 1e-5
    session.close()


@pytest.mark.weights
def test_a_net_for_one_picture_takes_several_one_by_one(options: SessionOptions) -> None:
    variant, path = weights_of("genderage-v1")
    session = open_session(Registry(load_manifest(), path.parent), variant, replace(options, warm_up=(1, 2, 4, 8)))
    batch = np.random.default_rng(0).uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    assert session.input.shape[0] == 1
    assert session.run(batch)[0].shape == (3, 202)
    session.close()


@pytest.mark.weights
def test_a_session_says_what_it_takes_and_gives(registry: Registry, rnet: Variant, options: SessionOptions) -> None:
    session = open_session(registry, rnet, options)
    assert session.variant == "mtcnn-rnet"
    assert session.input.shape == (None, 3, 24, 24)
    assert [output.shape for output in session.outputs] == [(None, 2), (None, 4)]
    assert session.providers == (
        {Backend.ONNXRUNTIME: "CPUExecutionProvider", Backend.OPENVINO: "OpenVINO CPU"}[options.backend],
    )
    session.close()


@pytest.mark.weights
def test_a_closed_session_refuses(registry: Registry, rnet: Variant, options: SessionOptions) -> None:
    session = open_session(registry, rnet, options)
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run(BATCH)


@pytest.mark.weights
def test_a_changed_file_is_never_loaded(registry: Registry, rnet: Variant, options: SessionOptions) -> None:
    path = registry.folder / rnet.file
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match="sha256"):
        open_session(registry, rnet, options)


def test_a_missing_file_says_how_to_get_it(tmp_path: Path, options: SessionOptions) -> None:
    registry = Registry(load_manifest(), tmp_path)
    with pytest.raises(ModelMissing, match="models pull mtcnn-onet"):
        open_session(registry, registry.manifest.named("mtcnn-onet"), options)


@pytest.mark.parametrize(
    ("content", "told"), [(b"<html></html>", "not an ONNX file"), (b"\x3a\x02\x0a\x00", "cannot be loaded")]
)
def test_a_file_that_is_no_model_is_refused_even_if_it_is_the_expected_one(
    tmp_path: Path, options: SessionOptions, content: bytes, told: str
) -> None:
    path = tmp_path / "page.onnx"
    path.write_bytes(content)
    digest = Digest.of_file(path)
    rnet = load_manifest().named("mtcnn-rnet")
    page = replace(rnet, file=path.name, sha256=digest.sha256, size_bytes=digest.size_bytes)
    with pytest.raises(ModelInvalid, match=told):
        open_session(Registry(Manifest((page,)), tmp_path), page, options)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("backend", "extra"), [(Backend.ONNXRUNTIME, r"streamapp\[cpu\]"), (Backend.OPENVINO, r"streamapp\[openvino\]")]
)
def test_without_the_library_the_extra_is_named(
    registry: Registry, rnet: Variant, monkeypatch: pytest.MonkeyPatch, backend: Backend, extra: str
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    runtimes = ort_session._runtime, openvino_session._runtime
    for runtime in runtimes:
        runtime.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(RuntimeMissing, match=extra):
        open_session(registry, rnet, SessionOptions(backend=backend))
    for runtime in runtimes:
        runtime.cache_clear()


@pytest.mark.weights
def test_a_device_that_cannot_be_had_is_told_loudly(
    registry: Registry, rnet: Variant, options: SessionOptions, caplog: pytest.LogCaptureFixture
) -> None:
    if options.backend is Backend.ONNXRUNTIME and Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has an NVIDIA GPU")
    wanted = replace(options, device=Device.CUDA)
    with caplog.at_level(logging.WARNING):
        session = open_session(registry, rnet, wanted)
    told = lost_device(wanted, session)
    assert told is not None
    assert "mtcnn-rnet was to run on cuda, but runs on" in told
    assert told in caplog.messages
    assert session.run(BATCH)[0].shape == (11, 2)
    assert lost_device(options, session) is None
    session.close()


def test_nothing_is_told_of_a_device_in_use() -> None:
    session = ScriptedSession("net", 8, [np.zeros(1, np.float32)])
    session.providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert lost_device(SessionOptions(device=Device.CUDA), session) is None
