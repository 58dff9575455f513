"""Sessions load only verified weights, say what really runs them, and give every batch size the same answers."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import ModelError, ModelInputInvalid, ModelInvalid, ModelMissing, RuntimeMissing
from streamapp.zoo import session as session_module
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device, OrtSession, SessionOptions, open_session, provider_options
from streamapp.zoo.spec import Digest, Variant
from tests.weights import weights_of

pytestmark = pytest.mark.weights
HAS_GPU = Path("/proc/driver/nvidia/version").exists()
BATCH = np.random.default_rng(0).standard_normal((11, 3, 24, 24)).astype(np.float32)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One small net with a free batch size."""
    _, path = weights_of("mtcnn-rnet")
    shutil.copy(path, tmp_path / path.name)
    return Registry(load_manifest(), tmp_path)


@pytest.fixture
def rnet(registry: Registry) -> Variant:
    return registry.manifest.named("mtcnn-rnet")


@pytest.fixture
def opened(registry: Registry, rnet: Variant) -> Iterator[OrtSession]:
    session = open_session(registry, rnet, SessionOptions())
    yield session
    session.close()


def test_a_batch_of_any_length_gives_what_its_items_give_alone(opened: OrtSession) -> None:
    alone = [np.concatenate(column) for column in zip(*(opened.run(BATCH[i : i + 1]) for i in range(11)), strict=True)]
    for size in (1, 2, 3, 8, 9, 11):
        for together, single in zip(opened.run(BATCH[:size]), alone, strict=True):
            assert together.shape == single[:size].shape
            assert np.abs(together - single[:size]).max() < 1e-5


def test_filled_up_batches_give_the_same(opened: OrtSession) -> None:
    filling = OrtSession(opened.variant, opened._session, pad=True)
    for size in (1, 3, 5, 11):
        for filled, plain in zip(filling.run(BATCH[:size]), opened.run(BATCH[:size]), strict=True):
            assert filled.shape == plain.shape
            assert np.abs(filled - plain).max() < 1e-5


def test_a_net_for_one_picture_takes_several_one_by_one() -> None:
    variant, path = weights_of("genderage-v1")
    session = open_session(Registry(load_manifest(), path.parent), variant, SessionOptions(warm_up=(1, 2, 4, 8)))
    batch = np.random.default_rng(0).uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    assert session.input.shape[0] == 1
    assert session.run(batch)[0].shape == (3, 202)
    session.close()


@pytest.mark.parametrize("shape", [(0, 3, 24, 24), (1, 3, 24, 23), (3, 24, 24), (1, 1, 24, 24)])
def test_batches_of_the_wrong_shape_are_refused(opened: OrtSession, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelInputInvalid, match="mtcnn-rnet takes"):
        opened.run(np.zeros(shape, np.float32))


def test_the_session_says_what_runs_it(opened: OrtSession) -> None:
    assert opened.providers == ("CPUExecutionProvider",)
    assert [output.shape for output in opened.outputs] == [(None, 2), (None, 4)]


def test_a_closed_session_refuses(opened: OrtSession) -> None:
    opened.close()
    opened.close()
    with pytest.raises(ModelError, match="closed"):
        opened.run(BATCH)


def test_a_changed_file_is_never_loaded(registry: Registry, rnet: Variant) -> None:
    path = registry.folder / rnet.file
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match="sha256"):
        open_session(registry, rnet, SessionOptions())


def test_a_missing_file_says_how_to_get_it(registry: Registry) -> None:
    with pytest.raises(ModelMissing, match="models pull mtcnn-onet"):
        open_session(registry, registry.manifest.named("mtcnn-onet"), SessionOptions())


def test_a_file_that_is_no_model_is_refused_even_if_it_is_the_expected_one(registry: Registry, rnet: Variant) -> None:
    path = registry.folder / "page.onnx"
    path.write_text("<html></html>")
    digest = Digest.of_file(path)
    page = replace(rnet, file=path.name, sha256=digest.sha256, size_bytes=digest.size_bytes)
    with pytest.raises(ModelInvalid, match="not an ONNX file"):
        open_session(Registry(Manifest((page,)), registry.folder), page, SessionOptions())


def test_an_optimised_graph_is_kept_and_gives_the_same(registry: Registry, rnet: Variant, opened: OrtSession) -> None:
    options = SessionOptions(graph_cache=registry.folder / "cache")
    expected = opened.run(BATCH)
    for _ in range(2):
        session = open_session(registry, rnet, options)
        for found, plain in zip(session.run(BATCH), expected, strict=True):
            assert np.abs(found - plain).max() < 1e-5
        session.close()
        assert len(list((registry.folder / "cache").iterdir())) == 1


def test_without_the_runtime_the_extra_is_named(
    registry: Registry, rnet: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    session_module._runtime.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(RuntimeMissing, match=r"streamapp\[cpu\]"):
        open_session(registry, rnet, SessionOptions())
    session_module._runtime.cache_clear()


def test_only_options_that_exist_are_given_to_cuda() -> None:
    options = SessionOptions(device=Device.CUDA, device_id=1, gpu_memory_limit_bytes=1000)
    (name, cuda), (last, _) = provider_options(options)
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    known = {"device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search", "use_tf32"}
    known |= {"cudnn_conv_use_max_workspace", "prefer_nhwc", "enable_cuda_graph", "user_compute_stream"}
    assert cuda.keys() <= known
    assert cuda["gpu_mem_limit"] == "1000"
    assert provider_options(SessionOptions()) == [("CPUExecutionProvider", {})]


def test_a_device_that_cannot_be_had_is_told_by_the_session(registry: Registry, rnet: Variant) -> None:
    if HAS_GPU:
        pytest.skip("this machine has an NVIDIA GPU")
    session = open_session(registry, rnet, SessionOptions(device=Device.CUDA))
    assert session.providers == ("CPUExecutionProvider",)
    assert session.run(BATCH)[0].shape == (11, 2)
    session.close()


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="this machine has no NVIDIA GPU")
def test_a_gpu_gives_what_the_processor_gives_and_says_so(
    registry: Registry, rnet: Variant, opened: OrtSession
) -> None:
    session = open_session(registry, rnet, SessionOptions(device=Device.CUDA, warm_up=(1, 2, 4, 8)))
    assert session.providers[0] == "CUDAExecutionProvider"
    for found, plain in zip(session.run(BATCH), opened.run(BATCH), strict=True):
        assert np.abs(found - plain).max() < 1e-2
    session.close()
