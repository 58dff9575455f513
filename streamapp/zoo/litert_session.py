"""LiteRT as a ModelSession: TensorFlow Lite's files, one item at a time, on one thread of the CPU."""

from __future__ import annotations

import threading

import numpy as np

from streamapp.errors import ModelError, ModelInputInvalid, ModelInvalid, RuntimeMissing
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.native_log import without_chatter

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    raise RuntimeMissing(f"LiteRT cannot be used here ({error}); set models.runtime to mediapipe") from error

PROVIDER = "LiteRT"


class LiteRtSession:
    """One interpreter. `run` may be called from several threads; they take turns. Outputs are in the order of their
    names."""

    def __init__(self, variant: str, weights: bytes) -> None:
        """Raises ModelInvalid if LiteRT does not take the weights."""
        self._variant = variant
        self._lock = threading.Lock()
        try:
            with without_chatter():
                interpreter = Interpreter(model_content=weights, num_threads=1)
                interpreter.allocate_tensors()
                interpreter.invoke()  # the first call is slow: better here than on a frame
            (given,) = interpreter.get_input_details()
            outputs = sorted(interpreter.get_output_details(), key=lambda output: str(output["name"]))
        except (RuntimeError, ValueError) as error:
            raise ModelInvalid(f"{variant}: LiteRT does not take the weights: {error}") from error
        self.input = TensorShape(str(given["name"]), tuple(int(size) for size in given["shape"]))
        self.outputs = tuple(
            TensorShape(str(o["name"]), (None, *(int(size) for size in o["shape"][1:]))) for o in outputs
        )
        self.providers = (PROVIDER,)
        self._input_index = int(given["index"])
        self._output_indices = tuple(int(output["index"]) for output in outputs)
        self._interpreter: Interpreter | None = interpreter

    @property
    def variant(self) -> str:
        return self._variant

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        if not len(batch) or not self.input.takes((1, *batch.shape[1:])):
            raise ModelInputInvalid(f"{self._variant} takes {self.input.shape}, not {batch.shape}")
        with self._lock:
            found = [self._run_one(batch[i : i + 1]) for i in range(len(batch))]
        return found[0] if len(found) == 1 else tuple(np.concatenate(column) for column in zip(*found, strict=True))

    def _run_one(self, item: Floats) -> tuple[Floats, ...]:
        if self._interpreter is None:
            raise ModelError(f"{self._variant} is closed")
        try:
            self._interpreter.set_tensor(self._input_index, item)
            self._interpreter.invoke()
            return tuple(self._interpreter.get_tensor(index) for index in self._output_indices)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._variant}: LiteRT failed: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._interpreter = None
