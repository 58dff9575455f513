"""ONNX Runtime as a ModelSession: one thread per session, batches in buckets, optimised graphs kept between starts.

The runtime is imported when the first session is opened: the app installs and screens faces without it. Which build of
it is installed decides what `providers` says; nothing else is trusted to tell whether a GPU is in use.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from streamapp.errors import ModelError, ModelInputInvalid, ModelInvalid, ModelOutOfMemory, RuntimeMissing
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.graph_cache import GraphCache
from streamapp.zoo.onnx_file import refuse_external_data
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Variant

if TYPE_CHECKING:
    import onnxruntime

BUCKETS = (1, 2, 4, 8)
"""Sizes a batch is run in: with ever new shapes a GPU's arena grows without bound."""
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_OUT_OF_MEMORY = ("out of memory", "failed to allocate", "bad_alloc", "bfcarena", "available memory")
_DYNAMICALLY_QUANTISED = b"DynamicQuantizeLinear"
"""The operator takes its scale from the whole batch: a face's answer would depend on who else is in it."""
_QUIET = 3
"""Log errors only: a warning is given for every graph saved with optimisations for this processor."""


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How weights are loaded."""

    device: Device = Device.CPU
    device_id: int = 0
    gpu_memory_limit_bytes: int | None = None
    """Bounds the arena of each session, not what CUDA takes beside it."""
    intra_op_threads: int = 1
    """More than one makes a session faster alone and several together slower."""
    graph_cache: Path | None = None
    """Folder for optimised graphs; None keeps none."""
    warm_up: Sequence[int] = ()
    """Batch sizes to run once while loading, so that the first request waits for no set-up."""


class OrtSession:
    """One loaded variant. `run` may be called from several threads at once."""

    def __init__(self, variant: str, session: onnxruntime.InferenceSession, *, pad: bool, singly: bool = False) -> None:
        self._variant = variant
        self._session: onnxruntime.InferenceSession | None = session
        self._pad = pad
        """Whether a batch is filled up to a bucket, or cut into full ones: on a CPU filling is work for nothing."""
        (given,) = session.get_inputs()
        self._dtype = _dtype(given.type, variant)
        self.input = TensorShape(given.name, _shape(given.shape))
        self.outputs = tuple(TensorShape(output.name, _shape(output.shape)) for output in session.get_outputs())
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self._buckets = BUCKETS if self.input.shape[0] is None else (int(self.input.shape[0]),)
        if singly:
            self._buckets = BUCKETS[:1]

    @property
    def variant(self) -> str:
        return self._variant

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        if not len(batch) or not self.input.takes((self.input.shape[0] or 1, *batch.shape[1:])):
            raise ModelInputInvalid(f"{self._variant} takes {self.input.shape}, not {batch.shape}")
        parts = [self._run_one(part, size) for part, size in self._parts(batch)]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _parts(self, batch: Floats) -> Iterator[tuple[Floats, int]]:
        """The batch in pieces, each with the bucket it runs in."""
        at = 0
        while at < len(batch):
            left = len(batch) - at
            fitting = [size for size in self._buckets if size <= left]
            size = fitting[-1] if fitting else self._buckets[0]
            if self._pad:
                size = next((bucket for bucket in self._buckets if bucket >= left), self._buckets[-1])
            yield batch[at : at + size], size
            at += size

    def _run_one(self, part: Floats, size: int) -> tuple[Floats, ...]:
        count = len(part)
        if count < size:
            part = np.concatenate([part, np.zeros((size - count, *part.shape[1:]), part.dtype)])
        if self._session is None:
            raise ModelError(f"{self._variant} is closed")
        runtime = _runtime()
        try:
            found = self._session.run(None, {self.input.name: np.ascontiguousarray(part, self._dtype)})
        except _failures(runtime) as error:
            raise _mapped(error, f"{self._variant} failed") from error
        return tuple(np.asarray(output, np.float32)[:count] for output in found)

    def close(self) -> None:
        if self._session is not None:
            self._session = None
            return_freed_memory()


def open_session(registry: Registry, variant: Variant, options: SessionOptions) -> OrtSession:
    """Loads a variant whose content is verified. Raises ModelMissing, ModelInvalid, RuntimeMissing, ModelOutOfMemory.

    A device that cannot be had is no error: `providers` of the result says what is really used."""
    content = registry.verified(variant).read_bytes()
    refuse_external_data(content, variant.file)
    runtime = _runtime()
    cache = GraphCache(options.graph_cache, runtime.__version__) if options.graph_cache else None
    if options.device is Device.CUDA:
        cache = None  # a graph is placed on its device when it is optimised
    session = _create(runtime, variant, content, options, cache)
    singly = _DYNAMICALLY_QUANTISED in content
    opened = OrtSession(variant.name, session, pad=_CUDA in session.get_providers(), singly=singly)
    for size in options.warm_up if opened.input.shape[0] is None and not singly else options.warm_up[:1]:
        shape = tuple(known or 64 for known in opened.input.shape[1:])
        opened.run(np.zeros((size, *shape), np.float32))
    return opened


def _create(
    runtime: ModuleType, variant: Variant, content: bytes, options: SessionOptions, cache: GraphCache | None
) -> onnxruntime.InferenceSession:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    settings.log_severity_level = _QUIET
    built_for = runtime.get_available_providers()
    providers = [provider for provider in provider_options(options) if provider[0] in built_for]
    key = GraphCache.key(content) if cache else ""
    kept = cache.load(key) if cache else None
    try:
        if kept is not None:
            settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
            return runtime.InferenceSession(kept, settings, providers=providers)
        if cache is None:
            return runtime.InferenceSession(content, settings, providers=providers)
        with cache.new(key) as path:
            if path is not None:
                settings.optimized_model_filepath = str(path)
            return runtime.InferenceSession(content, settings, providers=providers)
    except _failures(runtime) as error:
        raise _mapped(error, f"{variant.file} cannot be loaded", otherwise=ModelInvalid) from error


def provider_options(options: SessionOptions) -> list[tuple[str, dict[str, str]]]:
    """Execution providers in order of preference, with options that exist
    (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html)."""
    cpu: tuple[str, dict[str, str]] = (_CPU, {})
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
    return [(_CUDA, cuda), cpu]


def return_freed_memory() -> None:
    """Gives what was freed back to the system. glibc keeps it otherwise: most of a session's weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


@functools.cache
def _runtime() -> ModuleType:
    """ONNX Runtime. Raises RuntimeMissing."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        message = f"ONNX Runtime cannot be used ({error}); install streamapp[cpu], or streamapp[gpu] for an NVIDIA GPU"
        raise RuntimeMissing(message) from error
    if _CUDA in runtime.get_available_providers():
        runtime.preload_dlls()  # from the wheels of the gpu extra: the driver is all the system must have
    return runtime


def _failures(runtime: ModuleType) -> tuple[type[Exception], ...]:
    """What a session raises: each kind is an Exception of its own, without a common base."""
    state = runtime.capi.onnxruntime_pybind11_state
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
