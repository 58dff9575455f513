"""ONNX Runtime as a ModelSession: one thread per session, optimised graphs kept between starts, CUDA where there is.

Which build of the runtime is installed decides what it can use; it lists CUDA on machines without any GPU.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from streamapp.errors import ModelError, ModelInvalid, ModelOutOfMemory, RuntimeMissing
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.buckets import Buckets
from streamapp.zoo.graph_cache import GraphCache
from streamapp.zoo.onnx_file import OnnxFile
from streamapp.zoo.session import Device, SessionOptions, return_freed_memory
from streamapp.zoo.spec import Variant

if TYPE_CHECKING:
    import onnxruntime

_log = logging.getLogger(__name__)
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
Provider = tuple[str, dict[str, str]]
_OUT_OF_MEMORY = ("out of memory", "failed to allocate", "bad_alloc", "bfcarena", "available memory")
_QUIET = 3
"""Log errors only: a warning is given for every graph saved with optimisations for this processor."""


class OrtSession:
    """One loaded variant. `run` may be called from several threads at once.

    `bound_to`: the device (kind, number) that outputs are left on until the net is done, None for the runtime's own
    way. Input and outputs then cross over once each, and all memory is the session's own arena."""

    def __init__(
        self,
        variant: str,
        session: onnxruntime.InferenceSession,
        *,
        mixes_batch: bool,
        fill: bool,
        bound_to: tuple[str, int] | None = None,
    ) -> None:
        self._variant = variant
        self._session: onnxruntime.InferenceSession | None = session
        self._bound_to = bound_to
        (given,) = session.get_inputs()
        self._dtype = _dtype(given.type, variant)
        self.input = TensorShape(given.name, _shape(given.shape))
        self.outputs = tuple(TensorShape(output.name, _shape(output.shape)) for output in session.get_outputs())
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.buckets = Buckets.of(variant, self.input, mixes_batch=mixes_batch, fill=fill)

    @property
    def variant(self) -> str:
        return self._variant

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        return self.buckets.run(batch, self._run_one)

    def _run_one(self, part: Floats) -> Sequence[Floats]:
        session = self._session
        if session is None:
            raise ModelError(f"{self._variant} is closed")
        given = np.ascontiguousarray(part, self._dtype)
        try:
            if self._bound_to is None:
                return list(session.run(None, {self.input.name: given}))
            binding = session.io_binding()
            binding.bind_cpu_input(self.input.name, given)
            for output in self.outputs:
                binding.bind_output(output.name, *self._bound_to)
            session.run_with_iobinding(binding)
            return list(binding.copy_outputs_to_cpu())
        except _failures() as error:
            raise _mapped(error, f"{self._variant} failed") from error

    def close(self) -> None:
        if self._session is not None:
            self._session = None
            return_freed_memory()


def open_ort_session(variant: Variant, file: OnnxFile, options: SessionOptions) -> OrtSession:
    """Loads a verified file. Raises ModelInvalid, RuntimeMissing, ModelOutOfMemory.

    The runtime's bindings keep bytes they are given for as long as the session lives, and let no other thread run while
    they read them; they do neither with a path."""
    built_for = _runtime().get_available_providers()
    providers = [provider for provider in provider_options(options) if provider[0] in built_for]
    try:
        session = _created(file, options, providers)
    except _failures() as error:
        failure = _mapped(error, f"{variant.file} cannot be loaded", otherwise=ModelInvalid)
        if len(providers) == 1 or isinstance(failure, ModelOutOfMemory):
            raise failure from error
        _log.warning("%s on %s; trying without", failure, providers[0][0])
        session = _on_cpu(variant, file, options)
    return_freed_memory()  # what optimising left, as large as the weights, before batches need theirs
    on_gpu = CUDA in session.get_providers()
    bound_to = ("cuda", options.device_id) if on_gpu else None
    opened = OrtSession(variant.name, session, mixes_batch=file.mixes_batch, fill=on_gpu, bound_to=bound_to)
    for blank in opened.buckets.blanks(options.warm_up):
        opened.run(blank)
    return opened


def _on_cpu(variant: Variant, file: OnnxFile, options: SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return _created(file, options, [(CPU, {})])
    except _failures() as error:
        raise _mapped(error, f"{variant.file} cannot be loaded", otherwise=ModelInvalid) from error


def _created(file: OnnxFile, options: SessionOptions, providers: Sequence[Provider]) -> onnxruntime.InferenceSession:
    runtime = _runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    settings.log_severity_level = _QUIET

    def create(graph: Path | bytes) -> onnxruntime.InferenceSession:
        given = graph if isinstance(graph, bytes) else str(graph)
        # The runtime's own fallback changes providers behind our back, at any run, and prints to standard output.
        return runtime.InferenceSession(given, settings, providers=providers, enable_fallback=0)

    if options.graph_cache is None or options.device is Device.CUDA:  # a graph is optimised for one device
        return create(file.source)
    cache, key = GraphCache(options.graph_cache, runtime.__version__), GraphCache.key(file.source)
    kept = cache.find(key)
    if kept is not None:
        settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return create(kept)
    with cache.new(key) as target:
        if target is not None:
            settings.optimized_model_filepath = str(target)
        return create(file.source)


def provider_options(options: SessionOptions) -> list[Provider]:
    """Execution providers in order of preference, with options that exist
    (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html)."""
    cpu: Provider = (CPU, {})
    if options.device is Device.CPU:
        return [cpu]
    cuda = {
        "device_id": str(options.device_id),
        "arena_extend_strategy": "kSameAsRequested",  # the other one doubles, and a small card has no room for that
        "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tries every algorithm, with its workspace, for each shape
        "cudnn_conv_use_max_workspace": "0",
        "use_tf32": "1",
    }
    if options.gpu_memory_limit_bytes is not None:
        cuda["gpu_mem_limit"] = str(options.gpu_memory_limit_bytes)
    return [(CUDA, cuda), cpu]


@functools.cache
def _runtime() -> ModuleType:
    """ONNX Runtime. Raises RuntimeMissing."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        message = f"ONNX Runtime cannot be used ({error}); install streamapp[cpu], or streamapp[gpu] for an NVIDIA GPU"
        raise RuntimeMissing(message) from error
    if CUDA in runtime.get_available_providers():
        with contextlib.redirect_stdout(io.StringIO()) as told:  # it prints what it misses among our results
            runtime.preload_dlls()  # from the wheels of the gpu extra: the driver is all the system must have
        for line in told.getvalue().splitlines():
            _log.warning("%s", line)
    return runtime


@functools.cache
def _failures() -> tuple[type[Exception], ...]:
    """What a session raises: each kind is an Exception of its own, without a common base."""
    state = _runtime().capi.onnxruntime_pybind11_state
    names: tuple[str, ...] = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
    )
    names += ("EPFail", "EngineError", "ModelLoaded", "NoModel", "NoSuchFile")
    kinds = tuple(kind for name in names if (kind := getattr(state, name, None)) is not None)
    return (*kinds, RuntimeError, ValueError, MemoryError)


def _mapped(error: Exception, what: str, *, otherwise: type[ModelError] = ModelError) -> ModelError:
    told = " ".join(str(error).split())
    kind = otherwise
    if isinstance(error, MemoryError) or any(sign in told.lower() for sign in _OUT_OF_MEMORY):
        kind = ModelOutOfMemory
    return kind(f"{what}: {told[:300]}")


def _shape(dimensions: Sequence[object]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in dimensions)


def _dtype(name: str, variant: str) -> type[np.float32] | type[np.float16]:
    match name:
        case "tensor(float)":
            return np.float32
        case "tensor(float16)":
            return np.float16
        case _:
            raise ModelInvalid(f"{variant} takes {name}, which no model here gives")
