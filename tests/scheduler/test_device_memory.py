"""What a device shows, from this machine's memory and from a management library that is made up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamapp.choices import DeviceChoice
from streamapp.errors import DeviceLost
from streamapp.scheduler import device_memory
from streamapp.scheduler.device_memory import HostMemory, NvidiaMemory, open_device_memory, resolve_device
from streamapp.zoo.session import Device

LARGE = 200_000_000


def test_host_memory_counts_what_this_process_takes_after_the_start() -> None:
    device = HostMemory()
    before = device.read()
    assert (before.ours_bytes or 0) < LARGE / 10
    device.start_peak()
    taken = np.ones(LARGE, np.uint8)
    during = device.read()
    assert (during.ours_bytes or 0) - (before.ours_bytes or 0) == pytest.approx(LARGE, rel=0.1)
    del taken
    device.return_freed_memory()
    after = device.read()
    assert (after.ours_bytes or 0) < LARGE / 5
    assert after.used_bytes < after.total_bytes
    if sys.platform == "linux":
        assert device.peak_bytes() >= 0.9 * LARGE


def test_a_containers_limit_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("500000000\n")
    (tmp_path / "memory.current").write_text("300000000\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 120000000\n")
    use = HostMemory(tmp_path).read()
    assert (use.total_bytes, use.used_bytes) == (500_000_000, 180_000_000)


@pytest.mark.parametrize("limit", ["max\n", str(2**62), "", None])
def test_a_container_without_limit_is_the_whole_machine(tmp_path: Path, limit: str | None) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("1")
        (tmp_path / "memory.stat").write_text("anon 1\n")
    assert HostMemory(tmp_path).read().total_bytes == HostMemory(tmp_path / "absent").read().total_bytes


class Nvml(ModuleType):
    """As pynvml of nvidia-ml-py, with the functions that are used."""

    class NVMLError(Exception):
        pass

    class NVMLLibraryMismatchError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.processes = [SimpleNamespace(pid=1, usedGpuMemory=300)]
        self.failure: Exception | None = None
        self.opened: list[object] = []

    def _unless_failing(self, value: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        return value

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        self._unless_failing(None)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> object:  # noqa: N802 - the library's name
        self.opened.append(index)
        return self._unless_failing(index)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> object:  # noqa: N802 - the library's name
        self.opened.append(uuid)
        return self._unless_failing(uuid)

    def nvmlDeviceGetName(self, handle: object) -> str:  # noqa: N802 - the library's name
        return str(self._unless_failing("Made-up RTX"))

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> Any:  # noqa: N802 - the library's name
        return self._unless_failing(SimpleNamespace(total=6000, used=1000, free=5000))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: object) -> Any:  # noqa: N802 - the library's name
        return self._unless_failing(self.processes)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return library


def test_a_card_shows_what_is_ours(nvml: Nvml) -> None:
    device = NvidiaMemory()
    assert device.name == "cuda Made-up RTX"
    assert device.read().ours_bytes is None
    nvml.processes.append(SimpleNamespace(pid=os.getpid(), usedGpuMemory=400))
    use = device.read()
    assert (use.total_bytes, use.used_bytes, use.ours_bytes) == (6000, 1000, 400)
    nvml.processes[-1].usedGpuMemory = None
    assert device.read().ours_bytes is None


@pytest.mark.parametrize(
    ("visible", "device_id", "opened"), [(None, 1, 1), ("3,2", 1, 2), ("GPU-aa, GPU-bb", 1, "GPU-bb"), ("5", 0, 5)]
)
def test_the_card_is_the_one_cuda_calls_by_that_number(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch, visible: str | None, device_id: int, opened: object
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    NvidiaMemory(device_id)
    assert nvml.opened == [opened]


@pytest.mark.parametrize("visible", ["", "-1", "0"])
def test_a_hidden_card_is_none(nvml: Nvml, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(DeviceLost, match="hidden"):
        NvidiaMemory(1)


@pytest.mark.parametrize("make", [Nvml.NVMLError, Nvml.NVMLLibraryMismatchError])
def test_a_card_that_is_lost_is_an_error_of_ours(nvml: Nvml, make: Callable[[str], Exception]) -> None:
    device = NvidiaMemory()
    nvml.failure = make("GPU is lost")
    with pytest.raises(DeviceLost, match="does not answer: GPU is lost"):
        device.read()
    with pytest.raises(DeviceLost, match="cannot be used"):
        NvidiaMemory()


def test_without_the_library_there_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(DeviceLost, match=r"streamapp\[gpu\]"):
        open_device_memory(Device.CUDA)


def test_auto_is_a_gpu_only_if_there_is_one_and_the_runtime_for_it(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "runtime_version", lambda: "onnxruntime-gpu 1.31")
    assert resolve_device(DeviceChoice.AUTO) is Device.CUDA
    assert resolve_device(DeviceChoice.CPU) is Device.CPU
    nvml.failure = Nvml.NVMLError("no driver")
    assert resolve_device(DeviceChoice.AUTO) is Device.CPU
    nvml.failure = None
    monkeypatch.setattr(device_memory, "runtime_version", lambda: "onnxruntime 1.31")
    assert resolve_device(DeviceChoice.AUTO) is Device.CPU
    assert resolve_device(DeviceChoice.CUDA) is Device.CUDA
    assert isinstance(open_device_memory(Device.CPU), HostMemory)
