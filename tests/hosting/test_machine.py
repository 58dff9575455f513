"""How busy machines are, and what several processes know of one."""

from __future__ import annotations

import time

import psutil

from streamapp.hosting.machine import MIN_INTERVAL_S, MachineFigures, MachineWatch, merged_machines


def test_work_is_seen() -> None:
    watch = MachineWatch()
    end_s = time.monotonic() + MIN_INTERVAL_S + 0.1
    while time.monotonic() < end_s:
        pass
    figures = watch.look("here")
    assert figures.cores == psutil.cpu_count()
    assert 0.5 < figures.busy_cores <= figures.cores
    assert 0 < figures.used_bytes < figures.memory_bytes
    assert watch.look("here").busy_cores == figures.busy_cores, "too soon for another look"


def test_what_several_know_of_one_machine_is_put_together() -> None:
    worker = MachineFigures("b", 4, 1.5, 100, 50, streams=("door",), workers=1, gallery_version=7, sent_bytes=5)
    other = MachineFigures("b", 4, 1.6, 100, 51, streams=("hall",), workers=1, gallery_version=6)
    device = MachineFigures("b", 4, 1.7, 100, 52, devices=("b/0",), analysed=9)
    heard_of = MachineFigures("b", sent_bytes=2, received_bytes=3)
    alone = MachineFigures("a", 2, 0.1, 10, 5)
    assert merged_machines([worker, other, device, heard_of, alone]) == (
        alone,
        MachineFigures("b", 4, 1.7, 100, 52, ("b/0",), ("door", "hall"), 2, 6, 9, 7, 3),
    )
