"""Weights opened as a ModelSession: what is loaded is verified first, and an option says which library runs it.

Each library is imported when its first session is opened: the app installs and screens faces without any of them.
What really runs a session is what it says itself (`providers`), never what was asked for.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamapp.choices import Backend, Precision
from streamapp.zoo.base import ModelSession
from streamapp.zoo.onnx_file import OnnxFile
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Variant

_log = logging.getLogger(__name__)


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How weights are loaded."""

    backend: Backend = Backend.ONNXRUNTIME
    device: Device = Device.CPU
    device_id: int = 0
    gpu_memory_limit_bytes: int | None = None
    """Bounds the arena of each session, not what CUDA takes beside it."""
    precision: Precision = Precision.F32
    intra_op_threads: int = 1
    """More than one makes a session faster alone and several together slower."""
    graph_cache: Path | None = None
    """Folder for ONNX Runtime's optimised graphs; None keeps none."""
    warm_up: Sequence[int] = ()
    """Batch sizes to run once while loading, so that the first request waits for no set-up."""


def open_session(registry: Registry, variant: Variant, options: SessionOptions) -> ModelSession:
    """Loads a variant whose content is verified. Raises ModelMissing, ModelInvalid, RuntimeMissing, ModelOutOfMemory.

    A device that cannot be had is no error but a warning in the log: see `lost_device`."""
    file = OnnxFile.of(registry.verified(variant), variant.file)
    session: ModelSession
    match options.backend:
        case Backend.ONNXRUNTIME:
            from streamapp.zoo.ort_session import open_ort_session

            session = open_ort_session(variant, file, options)
        case Backend.OPENVINO:
            from streamapp.zoo.openvino_session import open_openvino_session

            session = open_openvino_session(variant, file, options)
    lost = lost_device(options, session)
    if lost is not None:
        _log.warning("%s", lost)
    return session


def lost_device(options: SessionOptions, session: ModelSession) -> str | None:
    """What to tell the user of a session that runs elsewhere than it was opened for; None if it does not."""
    if options.device is Device.CPU or any(options.device in provider.lower() for provider in session.providers):
        return None
    return f"{session.variant} was to run on {options.device}, but runs on {', '.join(session.providers)}"


def return_freed_memory() -> None:
    """Gives what was freed back to the system. glibc keeps it otherwise: most of a session's weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
