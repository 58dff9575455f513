"""OpenVINO as a ModelSession, on the CPU: another library for the same files, where it is the faster one.

Left to itself the package looks up a host for usage statistics as it is imported; it does without where its module for
that cannot be imported.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from streamapp.errors import ModelError, ModelInvalid, ModelOutOfMemory, RuntimeMissing
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.buckets import Buckets
from streamapp.zoo.onnx_file import OnnxFile
from streamapp.zoo.session import SessionOptions, return_freed_memory
from streamapp.zoo.spec import Variant

if TYPE_CHECKING:
    import openvino

_OUT_OF_MEMORY = ("out of memory", "bad_alloc", "failed to allocate", "cannot allocate")


class OpenVinoSession:
    """One loaded variant. `run` may be called from several threads: they take turns, as there is one stream."""

    def __init__(self, variant: str, compiled: openvino.CompiledModel, *, mixes_batch: bool) -> None:
        self._variant = variant
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        self._turn = threading.Lock()
        (given,) = compiled.inputs
        self._dtype = _dtype(given.get_element_type().to_string(), variant)
        self.input = TensorShape(given.get_any_name(), _shape(given.partial_shape))
        self.outputs = tuple(TensorShape(out.get_any_name(), _shape(out.partial_shape)) for out in compiled.outputs)
        self.providers = tuple(f"OpenVINO {device}" for device in compiled.get_property("EXECUTION_DEVICES"))
        self.buckets = Buckets.of(variant, self.input, mixes_batch=mixes_batch, fill=False)

    @property
    def variant(self) -> str:
        return self._variant

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        return self.buckets.run(batch, self._run_one)

    def _run_one(self, part: Floats) -> Sequence[Floats]:
        with self._turn:
            if self._request is None:
                raise ModelError(f"{self._variant} is closed")
            try:
                found = self._request.infer([np.ascontiguousarray(part, self._dtype)], share_inputs=True)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise _mapped(error, f"{self._variant} failed") from error
            return [found[index] for index in range(len(self.outputs))]  # copies, not the request's own memory

    def close(self) -> None:
        with self._turn:
            if self._request is not None:
                self._request = None
                return_freed_memory()


def open_openvino_session(variant: Variant, file: OnnxFile, options: SessionOptions) -> OpenVinoSession:
    """Loads a verified file. Raises ModelInvalid, RuntimeMissing, ModelOutOfMemory."""
    core = _runtime().Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": options.intra_op_threads,
        "ENABLE_CPU_PINNING": False,  # every session would be pinned to the same core
        "INFERENCE_PRECISION_HINT": str(options.precision),
    }
    try:
        compiled = core.compile_model(core.read_model(file.source), "CPU", settings)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise _mapped(error, f"{variant.file} cannot be loaded", otherwise=ModelInvalid) from error
    opened = OpenVinoSession(variant.name, compiled, mixes_batch=file.mixes_batch)
    for blank in opened.buckets.blanks(options.warm_up):
        opened.run(blank)
    return opened


@functools.cache
def _runtime() -> ModuleType:
    """OpenVINO, without its statistics. Raises RuntimeMissing."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise RuntimeMissing(f"OpenVINO cannot be used ({error}); install streamapp[openvino]") from error


def _mapped(error: Exception, what: str, *, otherwise: type[ModelError] = ModelError) -> ModelError:
    told = " ".join(str(error).split())
    is_memory = isinstance(error, MemoryError) or any(sign in told.lower() for sign in _OUT_OF_MEMORY)
    return (ModelOutOfMemory if is_memory else otherwise)(f"{what}: {told[:300]}")


def _shape(dimensions: openvino.PartialShape) -> tuple[int | None, ...]:
    return tuple(size.get_length() if size.is_static else None for size in dimensions)


def _dtype(name: str, variant: str) -> type[np.float32] | type[np.float16]:
    match name:
        case "f32":
            return np.float32
        case "f16":
            return np.float16
        case _:
            raise ModelInvalid(f"{variant} takes {name}, which no model here gives")
