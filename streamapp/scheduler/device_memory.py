"""Where models' memory is, and how much of it is whose: an NVIDIA GPU, or the memory of this machine.

Every call may take milliseconds and belongs on a thread. Numbers are bytes.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Protocol

import psutil

from streamapp.choices import DeviceChoice
from streamapp.errors import DeviceLost
from streamapp.zoo.session import Device, return_freed_memory


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """One reading of a device."""

    total_bytes: int
    used_bytes: int
    """By everybody."""
    ours_bytes: int | None
    """What of it this process has taken since its start; None where the driver does not tell processes apart."""


class DeviceMemory(Protocol):
    """The memory of one device. One thread at a time."""

    @property
    def name(self) -> str:
        """The same for the same kind of device: measured costs are kept under it."""

    @property
    def context_bytes(self) -> int:
        """Estimate of what the runtime takes here before any model does."""

    @property
    def context_provider(self) -> str:
        """Whose first session brings that with it."""

    @property
    def load_overhead(self) -> float:
        """Estimate of what loading takes here beside the loaded model, in sizes of its file."""

    def read(self) -> MemoryUse:
        """Raises DeviceLost."""

    def start_peak(self) -> None:
        """Forgets the highest use so far."""

    def peak_bytes(self) -> int:
        """Highest use by this process since `start_peak`, as in `ours_bytes`; 0 where that is not known."""

    def return_freed_memory(self) -> None:
        """Gives what this process has freed, but kept, back to the device."""


class HostMemory:
    """The memory of this machine, or of the container this process is in. Ours is what is resident over the size of
    the process when this object was made: take it before the first model is loaded."""

    context_bytes = 64_000_000
    """ONNX Runtime's libraries and thread pools."""
    context_provider = "CPUExecutionProvider"
    load_overhead = 1.8
    """The file's parsed form, and what optimising makes of it, exist beside the session's copy: up to 1.83 files."""

    def __init__(self, cgroup: Path = Path("/sys/fs/cgroup")) -> None:
        self.name = f"host {_processor()}"
        self._cgroup = cgroup
        self._process = psutil.Process()
        return_freed_memory()
        self._baseline_bytes = int(self._process.memory_info().rss)

    def read(self) -> MemoryUse:
        memory = psutil.virtual_memory()
        total, used = int(memory.total), int(memory.total - memory.available)
        limited = _container_memory(self._cgroup)
        if limited is not None and limited[0] < total:
            total, used = limited
        return MemoryUse(total, used, max(0, int(self._process.memory_info().rss) - self._baseline_bytes))

    def start_peak(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM: proc(5)
        except OSError:
            return

    def peak_bytes(self) -> int:
        try:
            lines = Path("/proc/self/status").read_text("ascii").splitlines()
        except OSError:
            return 0
        peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
        return max(0, peaks[0] - self._baseline_bytes) if peaks else 0

    def return_freed_memory(self) -> None:
        return_freed_memory()


class NvidiaMemory:
    """One NVIDIA GPU, through its management library: the driver's, so that nothing but the driver is needed."""

    context_bytes = 500_000_000
    """A CUDA context with cuDNN and cuBLAS."""
    context_provider = "CUDAExecutionProvider"
    load_overhead = 0.25
    """Weights are copied one by one; kernels are loaded and algorithms tried."""

    def __init__(self, device_id: int = 0) -> None:
        """`device_id`: as CUDA numbers the devices it may see. Raises DeviceLost."""
        self._nvml = _nvml()
        try:
            self._nvml.nvmlInit()
            self._handle = self._find(device_id)
            self.name = f"cuda {self._nvml.nvmlDeviceGetName(self._handle)}"
        except _failures(self._nvml) as error:
            raise DeviceLost(f"GPU {device_id} cannot be used: {error}; see `nvidia-smi`") from error

    def _find(self, device_id: int) -> object:
        """Heeds CUDA_VISIBLE_DEVICES; assumes CUDA_DEVICE_ORDER=PCI_BUS_ID where cards differ."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return self._nvml.nvmlDeviceGetHandleByIndex(device_id)
        names = [name.strip() for name in visible.split(",")]
        if device_id >= len(names) or not names[device_id] or names[device_id] == "-1":
            raise DeviceLost(f"GPU {device_id} is hidden by CUDA_VISIBLE_DEVICES={visible}")
        if names[device_id].isdigit():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(names[device_id]))
        return self._nvml.nvmlDeviceGetHandleByUUID(names[device_id])

    def read(self) -> MemoryUse:
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except _failures(self._nvml) as error:
            raise DeviceLost(f"{self.name} does not answer: {error}; see `nvidia-smi` and the kernel's log") from error
        # In a container the numbers of processes may be those of its host, and on Windows no use is given.
        ours = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
        known = [used for used in ours if used is not None]
        return MemoryUse(int(memory.total), int(memory.used), sum(known) if known else None)

    def start_peak(self) -> None:
        """The library keeps no peak of a process."""

    def peak_bytes(self) -> int:
        return 0

    def return_freed_memory(self) -> None:
        return_freed_memory()  # the host's side of a session


def resolve_device(choice: DeviceChoice, device_id: int = 0) -> Device:
    """Where models run: what was chosen, or what there is."""
    if choice is not DeviceChoice.AUTO:
        return Device(choice.value)
    if not runtime_version().startswith("onnxruntime-gpu"):
        return Device.CPU
    try:
        NvidiaMemory(device_id)
    except DeviceLost:
        return Device.CPU
    return Device.CUDA


def open_device_memory(device: Device, device_id: int = 0) -> DeviceMemory:
    """Raises DeviceLost."""
    match device:
        case Device.CPU:
            return HostMemory()
        case Device.CUDA:
            return NvidiaMemory(device_id)


def runtime_version() -> str:
    """Which build of ONNX Runtime is installed; empty if none is."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""


def _nvml() -> ModuleType:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise DeviceLost("the NVIDIA management library's bindings are not installed; use streamapp[gpu]") from error


def _failures(nvml: ModuleType) -> tuple[type[Exception], ...]:
    return (nvml.NVMLError, nvml.NVMLLibraryMismatchError)


def _processor() -> str:
    """What a session's size depends on beside its file: packed weights differ by instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return sys.platform
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else sys.platform


def _container_memory(cgroup: Path) -> tuple[int, int] | None:
    """Limit and use of this process's container (cgroup v2), None where there is no limit. What the kernel can drop
    at once is not in use (https://docs.kernel.org/admin-guide/cgroup-v2.html)."""
    try:
        limit = (cgroup / "memory.max").read_text("ascii").strip()
        used = int((cgroup / "memory.current").read_text("ascii"))
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    return int(limit), max(0, used - int(statistics.get("inactive_file", 0)))
