"""ONNX Runtime: filled batches, kept graphs, and a GPU, or what becomes of it where there is none."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from streamapp.errors import ModelOutOfMemory
from streamapp.faces import Floats
from streamapp.zoo import ort_session
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.onnx_file import OnnxFile
from streamapp.zoo.ort_session import CPU, CUDA, OrtSession, open_ort_session, provider_options
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device, SessionOptions, open_session
from streamapp.zoo.spec import Variant
from tests.weights import weights_of

pytestmark = pytest.mark.weights
HAS_GPU = Path("/proc/driver/nvidia/version").exists()
BATCH = np.random.default_rng(0).standard_normal((11, 3, 24, 24)).astype(np.float32)
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="this machine has no NVIDIA GPU")]


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
def file(registry: Registry, rnet: Variant) -> OnnxFile:
    return OnnxFile.of(registry.verified(rnet), rnet.file)


@pytest.fixture
def opened(rnet: Variant, file: OnnxFile) -> Iterator[OrtSession]:
    session = open_ort_session(rnet, file, SessionOptions())
    yield session
    session.close()


def assert_alike(found: Sequence[Floats], expected: Sequence[Floats], tolerance: float = 1e-5) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < tolerance


def test_filled_up_batches_give_the_same(opened: OrtSession) -> None:
    assert opened._session is not None
    filling = OrtSession(opened.variant, opened._session, mixes_batch=False, fill=True)
    for size in (1, 3, 5, 11):
        assert_alike(filling.run(BATCH[:size]), opened.run(BATCH[:size]))


def test_bound_outputs_are_the_plain_ones(opened: OrtSession) -> None:
    """The way of a GPU, on the device that is here."""
    assert opened._session is not None
    bound = OrtSession(opened.variant, opened._session, mixes_batch=False, fill=True, bound_to=("cpu", 0))
    first, expected = bound.run(BATCH), opened.run(BATCH)
    bound.run(BATCH[::-1])
    assert_alike(first, expected)  # later runs do not write into what earlier ones gave


def test_half_precision_nets_are_given_what_they_take(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    kind, helper = onnx.TensorProto.FLOAT16, onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", kind, ["n", 3, 2, 2])],
        [helper.make_tensor_value_info("y", kind, ["n", 3, 2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = OnnxFile.of(model.SerializeToString(), "double.onnx")
    session = open_ort_session(load_manifest().named("mtcnn-rnet"), file, SessionOptions())
    (doubled,) = session.run(np.full((3, 3, 2, 2), 1.5, np.float32))
    assert doubled.dtype == np.float32
    assert (doubled == 3).all()


def test_an_optimised_graph_is_kept_and_gives_the_same(registry: Registry, rnet: Variant, opened: OrtSession) -> None:
    options = SessionOptions(graph_cache=registry.folder / "cache")
    expected = opened.run(BATCH)
    for _ in range(2):
        session = open_session(registry, rnet, options)
        assert_alike(session.run(BATCH), expected)
        session.close()
        assert len(list((registry.folder / "cache").iterdir())) == 1


def test_only_options_that_exist_are_given_to_cuda() -> None:
    options = SessionOptions(device=Device.CUDA, device_id=1, gpu_memory_limit_bytes=1000)
    (name, cuda), (last, _) = provider_options(options)
    assert (name, last) == (CUDA, CPU)
    known = {"device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search", "use_tf32"}
    known |= {"cudnn_conv_use_max_workspace", "prefer_nhwc", "enable_cuda_graph", "user_compute_stream"}
    assert cuda.keys() <= known
    assert cuda["gpu_mem_limit"] == "1000"
    assert provider_options(SessionOptions()) == [(CPU, {})]


class BrokenCuda:
    """ONNX Runtime as it is where CUDA's libraries are but cannot be used: it fails with that provider."""

    def __init__(self, runtime: ModuleType, failure: str) -> None:
        self._runtime = runtime
        self._failure = failure

    def __getattr__(self, name: str) -> object:
        return getattr(self._runtime, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def InferenceSession(  # noqa: N802 - the runtime's name
        self, path: str, settings: object, *, providers: list[ort_session.Provider], enable_fallback: int
    ) -> object:
        assert enable_fallback == 0
        if providers[0][0] == CUDA:
            raise RuntimeError(self._failure)
        return self._runtime.InferenceSession(path, settings, providers=providers)


def break_cuda(monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    broken = BrokenCuda(ort_session._runtime(), failure)
    ort_session._failures()
    monkeypatch.setattr(ort_session, "_runtime", lambda: broken)


def test_a_gpu_that_fails_is_done_without_and_the_reason_logged(
    rnet: Variant, file: OnnxFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_cuda(monkeypatch, "CUDA failure 100: no CUDA-capable device is detected")
    session = open_ort_session(rnet, file, SessionOptions(device=Device.CUDA))
    assert session.providers == (CPU,)
    assert session.run(BATCH)[0].shape == (11, 2)
    assert any("no CUDA-capable device is detected" in message for message in caplog.messages)


def test_a_full_gpu_is_no_reason_to_use_the_processor_instead(
    rnet: Variant, file: OnnxFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_cuda(monkeypatch, "CUDA failure 2: out of memory")
    with pytest.raises(ModelOutOfMemory):
        open_ort_session(rnet, file, SessionOptions(device=Device.CUDA))


def test_what_is_missing_for_cuda_is_logged_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = "Failed to load libcublas.so.13"
    fake = SimpleNamespace(get_available_providers=lambda: [CUDA, CPU], preload_dlls=lambda: print(complaint))
    ort_session._runtime.cache_clear()
    monkeypatch.setattr(importlib, "import_module", lambda _: fake)
    assert ort_session._runtime() is fake  # type: ignore[comparison-overlap]  # stands in for the module
    ort_session._runtime.cache_clear()
    assert complaint in caplog.messages
    assert capsys.readouterr().out == ""


class TestOnGpu:
    """What only a machine with an NVIDIA GPU can show."""

    pytestmark = on_gpu

    @pytest.fixture
    def cuda(self, rnet: Variant, file: OnnxFile) -> Iterator[OrtSession]:
        session = open_ort_session(rnet, file, SessionOptions(device=Device.CUDA, warm_up=(1, 2, 4, 8)))
        yield session
        session.close()

    def test_the_session_itself_says_that_it_runs_there(self, cuda: OrtSession) -> None:
        assert cuda.providers[0] == CUDA

    def test_its_answers_are_those_of_the_processor(self, cuda: OrtSession, opened: OrtSession) -> None:
        assert_alike(cuda.run(BATCH), opened.run(BATCH), 1e-2)

    def test_bound_outputs_are_the_plain_ones(self, cuda: OrtSession) -> None:
        assert cuda._session is not None
        plain = OrtSession(cuda.variant, cuda._session, mixes_batch=False, fill=True)
        assert cuda._bound_to == ("cuda", 0)
        assert_alike(cuda.run(BATCH), plain.run(BATCH))
