"""What this machine can do, what is missing, and the command that mends it. Looks only; changes nothing."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import av
import psutil
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from streamapp.assets import asset
from streamapp.choices import ScreenRuntime
from streamapp.errors import StreamappError
from streamapp.scheduler.device_memory import resolve_device
from streamapp.settings import Settings
from streamapp.zoo.lineup import Lineup, System
from streamapp.zoo.registry import Registry

SILENT_MEDIAPIPE = frozenset({"0.10.21", "0.10.30", "0.10.32", "0.10.33"})
"""Releases that make no look-up: docs/adr/0002."""
OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
"""They share the folder cv2/: one of them may be installed, and it is the first that MediaPipe asks for."""
_CV2_PACKAGES = "libgl1 libglib2.0-0 libxcb1"
_MEDIAPIPE_LIBRARIES = ("libEGL.so.1", "libGLESv2.so.2")
_MEDIAPIPE_PACKAGES = "libegl1 libgles2"
_CODECS = (("h264", "r"), ("vp8", "r"), ("libx264", "w"), ("libvpx", "w"))
_GOOD_MEMORY_BYTES = 1 << 30


class CheckStatus(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, but not everything will, or not well."""
    MISSING = "missing"
    """The app cannot do its work without."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `remedy` is a command, or None where there is nothing to mend."""

    name: str
    status: CheckStatus
    detail: str
    remedy: str | None = None


def diagnose(settings: Settings, *, is_serving: bool = False) -> tuple[Check, ...]:
    """Looks at everything. Takes about a second; opens no model and no camera. is_serving: this process is the server,
    and has its port."""
    return (
        _python(),
        _processor(),
        _memory(),
        _ffmpeg(),
        _opencv(),
        _screen_runtime(settings),
        _mediapipe(),
        *_weights(settings),
        _onnxruntime(),
        _gpu(),
        _assets(),
        _webcams(),
        *(() if is_serving else (_port(settings),)),
        _disk(settings),
    )


def _python() -> Check:
    return Check("python", CheckStatus.OK, f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _processor() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    status = CheckStatus.OK if cores > 1 else CheckStatus.WARN
    return Check("cpu", status, f"{cores} core{'s' if cores > 1 else ''} for this process")


def _memory() -> Check:
    memory = psutil.virtual_memory()
    status = CheckStatus.OK if memory.available >= _GOOD_MEMORY_BYTES else CheckStatus.WARN
    return Check("memory", status, f"{_gib(memory.available)} of {_gib(memory.total)} available")


def _ffmpeg() -> Check:
    absent = []
    for name, mode in _CODECS:
        try:
            Codec(name, "r" if mode == "r" else "w")
        except UnknownCodecError:
            absent.append(f"{name} ({'decoder' if mode == 'r' else 'encoder'})")
    detail = f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"
    if absent:
        remedy = "pip install --force-reinstall --only-binary=:all: 'av>=16,<19'"
        return Check("ffmpeg", CheckStatus.MISSING, f"{detail} lacks {', '.join(absent)}", remedy)
    return Check("ffmpeg", CheckStatus.OK, f"{detail}; H264 and VP8 are read and written")


def _opencv() -> Check:
    installed = {name: version for name in OPENCV_WHEELS if (version := _version(name))}
    if not installed:
        return Check("opencv", CheckStatus.MISSING, "no wheel is installed", f"pip install {OPENCV_WHEELS[0]}")
    if len(installed) > 1:
        remedy = f"pip uninstall -y {' '.join(installed)} && pip install {OPENCV_WHEELS[0]}"
        return Check("opencv", CheckStatus.WARN, f"these overwrite each other's files: {', '.join(installed)}", remedy)
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        return Check("opencv", CheckStatus.MISSING, f"it cannot be loaded: {error}", f"apt-get install {_CV2_PACKAGES}")
    return Check("opencv", CheckStatus.OK, " ".join(*installed.items()))


def _screen_runtime(settings: Settings) -> Check:
    runtime = settings.models.runtime
    project = {ScreenRuntime.LITERT: "ai-edge-litert", ScreenRuntime.MEDIAPIPE: "mediapipe"}[runtime]
    version = _version(project)
    if version is None:
        return Check("screening", CheckStatus.MISSING, f"{project} is not installed", f"pip install {project}")
    absent = [name for name in _MEDIAPIPE_LIBRARIES if runtime is ScreenRuntime.MEDIAPIPE and not _loadable(name)]
    if absent:
        detail = f"mediapipe needs {', '.join(absent)} of the system"
        return Check("screening", CheckStatus.MISSING, detail, f"apt-get install {_MEDIAPIPE_PACKAGES}")
    return Check("screening", CheckStatus.OK, f"{project} {version}, on the CPU")


def _mediapipe() -> Check:
    version = _version("mediapipe")
    if version is None:
        return Check("mediapipe", CheckStatus.OK, "not installed; needed only for models.runtime = mediapipe")
    if version in SILENT_MEDIAPIPE:
        return Check("mediapipe", CheckStatus.OK, f"{version}, which makes no call home")
    detail = f"{version} was not found to be silent: newer releases look up a logging host when a detector closes"
    return Check("mediapipe", CheckStatus.WARN, detail, "pip install mediapipe==0.10.33")


def _weights(settings: Settings) -> list[Check]:
    """One check per model system, for what the configured profile makes of what is installed."""
    try:
        registry = Registry.from_settings(settings)
        device = resolve_device(settings.scheduler.device, settings.scheduler.gpus[0])
        lineup = Lineup.from_settings(registry, settings, device)
    except StreamappError as error:
        return [Check(f"weights: {System.MEDIAPIPE}", CheckStatus.MISSING, str(error), "streamapp models list")]
    return [_weights_of(registry, lineup, system) for system in System]


def _weights_of(registry: Registry, lineup: Lineup, system: System) -> Check:
    name, needed = f"weights: {system}", system is System.MEDIAPIPE
    found, problems = [], []
    for variant in lineup.of_system(system):
        try:
            path = registry.verified(variant)
        except StreamappError as error:
            problems.append(str(error))
        else:
            found.append(f"{variant.name} at {path}, {variant.licence or 'licence not known'}")
    absent = [entry for entry in lineup.absent if entry.system is system]
    problems += [entry.message for entry in absent if not entry.optional]
    if problems:
        remedy = "streamapp models pull" if needed else "streamapp models pull --profile light"
        return Check(name, CheckStatus.MISSING if needed else CheckStatus.WARN, "; ".join(problems), remedy)
    if not found:
        return Check(name, CheckStatus.OK, f"{absent[0].variant} is not installed, and the profile does without")
    return Check(name, CheckStatus.OK, "; ".join(found))


def _onnxruntime() -> Check:
    builds = [f"{name} {version}" for name in ("onnxruntime", "onnxruntime-gpu") if (version := _version(name))]
    match builds:
        case []:
            detail = "not installed; no model of the fast mode needs it"
            return Check("onnxruntime", CheckStatus.WARN, detail, "pip install 'streamapp[cpu]'")
        case [build]:
            return Check("onnxruntime", CheckStatus.OK, build)
    remedy = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'streamapp[cpu]'  # or streamapp[gpu]"
    return Check("onnxruntime", CheckStatus.WARN, f"these overwrite each other: {', '.join(builds)}", remedy)


def _gpu(driver: Path = Path("/proc/driver/nvidia"), devices: Path = Path("/dev")) -> Check:
    """Says what runs where, not what a library claims: a list of providers names CUDA on machines without any GPU."""
    if not ((driver / "version").is_file() and list(devices.glob("nvidia[0-9]*"))):
        return Check("gpu", CheckStatus.OK, "no NVIDIA GPU seen; everything runs on the CPU")
    detail = "an NVIDIA GPU and its driver are there, but faces are screened on the CPU"
    if _version("onnxruntime-gpu") is None:
        return Check("gpu", CheckStatus.OK, f"{detail}, and the ONNX Runtime that is installed is not the one for GPUs")
    return Check("gpu", CheckStatus.OK, detail)


def _assets() -> Check:
    absent = [name for name in ("web/index.html", "recordings/demo.mp4") if not asset(name).is_file()]
    if absent:
        remedy = "pip install --force-reinstall --no-deps streamapp"
        return Check("assets", CheckStatus.WARN, f"not installed: {', '.join(absent)}", remedy)
    return Check("assets", CheckStatus.OK, "the page and the demo clip are there")


def _webcams(devices: Path = Path("/dev")) -> Check:
    cameras = sorted(devices.glob("video*"))
    if not cameras:
        return Check("webcams", CheckStatus.OK, "none on this machine (browsers bring their own)")
    closed = [str(camera) for camera in cameras if not os.access(camera, os.R_OK | os.W_OK)]
    if closed:
        return Check(
            "webcams", CheckStatus.WARN, f"no permission: {', '.join(closed)}", 'sudo usermod -aG video "$USER"'
        )
    return Check("webcams", CheckStatus.OK, ", ".join(map(str, cameras)))


def _port(settings: Settings) -> Check:
    address = (settings.server.host, settings.server.port)
    shown = f"{address[0]}:{address[1]}"
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        return Check("port", CheckStatus.WARN, f"{shown}: {error.strerror}", "streamapp serve --port 0")
    return Check("port", CheckStatus.OK, f"{shown} is free")


def _disk(settings: Settings) -> Check:
    models = settings.models.dir.absolute()
    folder = next(path for path in (models, *models.parents) if path.is_dir())
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{_gib(free_bytes)} free at {folder}"
    if free_bytes < settings.recording.min_free_bytes:
        return Check("disk", CheckStatus.WARN, f"{detail}; recordings stop below recording.min_free_bytes")
    return Check("disk", CheckStatus.OK, detail)


def _version(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None


def _loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB"
