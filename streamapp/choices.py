"""What can be chosen between, by settings and by the command line."""

from __future__ import annotations

from enum import StrEnum


class ScreenRuntime(StrEnum):
    """What runs the screening net: docs/adr/0002."""

    LITERT = "litert"
    MEDIAPIPE = "mediapipe"


class Profile(StrEnum):
    """Which variant serves each task: zoo/profiles.py."""

    FULL = "full"
    """Everything at full size; recognition by an ensemble of three."""
    LIGHT = "light"
    """What a laptop without a GPU runs."""
    AUTO = "auto"
    """By device and by what is installed."""


class Backend(StrEnum):
    """The library that runs the analysis models: docs/adr/0007."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    """On the CPU only, from the extra of that name."""


class Precision(StrEnum):
    """In what OpenVINO computes; ONNX Runtime keeps to the file's own."""

    F32 = "f32"
    BF16 = "bf16"
    """Up to twice as fast on processors that have it, and the answers differ: docs/adr/0007."""


class DeviceChoice(StrEnum):
    """Where the analysis models run."""

    AUTO = "auto"
    """On an NVIDIA GPU if there is one and the GPU build of the runtime is installed, else on the processor."""
    CPU = "cpu"
    CUDA = "cuda"


class DecoderPlace(StrEnum):
    """Where network cameras are decoded."""

    PROCESS = "process"
    """In a confined process for each, which may crash. Linux."""
    THREAD = "thread"
    """In a thread of the app."""


class GalleryBackend(StrEnum):
    """Where the gallery is kept."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


class EventKind(StrEnum):
    """What can happen on a stream: docs/events.md."""

    APPEARED = "appeared"
    IDENTIFIED = "identified"
    SPOOF_SUSPECTED = "spoof_suspected"
    LEFT = "left"
    STREAM_LOST = "stream_lost"
    STREAM_RECOVERED = "stream_recovered"


class Https(StrEnum):
    """Whether the server makes itself a certificate."""

    OFF = "off"
    AUTO = "auto"


class Origin(StrEnum):
    """Where the value of a setting comes from; a later one is stronger."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command_line"
