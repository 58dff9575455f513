"""Pictures sent to a server with workers for a long time, while its workers are replaced again and again: no request
fails but those that are over the limit, and memory stays flat.

`python -m benchmarks.image_soak [--quick] [--minutes N] [--workers N] [--clients N]`: a real `serve --workers`, so many
clients that each send a picture of the demo clip, wait for the answer, and send the next; every minute SIGHUP replaces
all workers. Memory is that of all its processes, what they share counted once, as of each minute's end before the next
replacement. More clients than `server.max_image_requests` are refused with 503 and `Retry-After`, which is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import httpx
import numpy as np

from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.assets import asset
from streamapp.capacity.processes import memory_bytes

PATH = "/detect/fast"
START_S = 60.0
GROWTH_MB = 40.0
"""So much more may be taken in the last third of the run than in the second."""
PLACES = 16
TIMEOUT_S = 40.0


@dataclass(slots=True)
class Found:
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    without_retry_after: int = 0
    seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    replaced: int = 0


@contextmanager
def serving(workers: int, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address and its process."""
    environment = dict(os.environ, STREAMAPP_SERVER__MAX_IMAGE_REQUESTS=str(PLACES))
    environment.setdefault("STREAMAPP_MODELS__DIR", str(Path("models").resolve()))
    command = [sys.executable, "-m", "streamapp", "serve", "--port", "0", "--workers", str(workers)]
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        yield address, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_S)


def pictures(count: int) -> list[bytes]:
    """JPEGs out of the demo clip."""
    found = []
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        for frame in clip.decode(video=0):
            encoded, data = cv2.imencode(".jpg", np.ascontiguousarray(frame.to_ndarray(format="bgr24")))
            assert encoded
            found.append(data.tobytes())
            if len(found) == count:
                break
    return found


async def soak(address: str, pid: int, *, clients: int, minutes: float, every_s: float) -> Found:
    found, jpegs = Found(), pictures(30)
    end_s = time.monotonic() + 60 * minutes

    async def client(number: int, http: httpx.AsyncClient) -> None:
        turn = number
        while time.monotonic() < end_s:
            turn += 1
            began_s = time.monotonic()
            try:
                response = await http.post(PATH, files={"image": jpegs[turn % len(jpegs)]})
            except httpx.HTTPError:
                found.unanswered += 1
                continue
            found.statuses[response.status_code] += 1
            if response.status_code == 200:
                found.seconds.append(time.monotonic() - began_s)
            else:
                found.without_retry_after += "retry-after" not in response.headers
                await asyncio.sleep(0.05)

    async def replace() -> None:
        while time.monotonic() + every_s < end_s:
            await asyncio.sleep(every_s)
            found.memory_mb.append((memory_bytes(pid) or 0) / 1e6)
            os.kill(pid, signal.SIGHUP)
            found.replaced += 1
            progress(f"{found.memory_mb[-1]:.0f} MB, {dict(found.statuses)}, {found.unanswered} unanswered")

    limits = httpx.Limits(max_connections=clients)
    async with (
        httpx.AsyncClient(base_url=address, timeout=TIMEOUT_S, limits=limits) as http,
        asyncio.TaskGroup() as group,
    ):
        for number in range(clients):
            group.create_task(client(number, http))
        group.create_task(replace())
    return found


def growth_mb(memory_mb: list[float]) -> float:
    """Of the median of the last third over that of the second."""
    third = len(memory_mb) // 3
    if not third:
        return 0.0
    return float(np.median(memory_mb[-third:]) - np.median(memory_mb[third : 2 * third]))


def main() -> None:
    options = parser("benchmarks.image_soak", __doc__ or "")
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--clients", type=int, default=8)
    arguments: argparse.Namespace = options.parse_args()
    minutes, every_s = (0.5, 10.0) if arguments.quick else (arguments.minutes, 60.0)
    with (
        tempfile.TemporaryDirectory(prefix="streamapp-soak-") as folder,
        serving(arguments.workers, Path(folder)) as (address, process),
    ):
        found = asyncio.run(soak(address, process.pid, clients=arguments.clients, minutes=minutes, every_s=every_s))
    failed = found.unanswered + sum(count for status, count in found.statuses.items() if status not in (200, 503))
    grown_mb = growth_mb(found.memory_mb)
    figures = (
        Figure("failed requests", failed, "", "0", failed == 0),
        Figure("refusals without Retry-After", found.without_retry_after, "", "0", found.without_retry_after == 0),
        Figure("growth of memory", grown_mb, "MB", f"<= {GROWTH_MB:.0f}", grown_mb <= GROWTH_MB),
        Figure("pictures a second", found.statuses[200] / (60 * minutes), ""),
        Figure("answer p50", float(np.percentile(found.seconds, 50)) * 1e3, "ms"),
        Figure("answer p95", float(np.percentile(found.seconds, 95)) * 1e3, "ms"),
        Figure("times all workers were replaced", found.replaced, ""),
    )
    rows = tuple((str(status), count) for status, count in sorted(found.statuses.items()))
    title = f"Answers in {minutes:g} minutes, {arguments.clients} clients, {arguments.workers} workers"
    memory = tuple((minute + 1, value) for minute, value in enumerate(found.memory_mb))
    tables = [Table(title, ("status", "count"), rows), Table("Memory of all processes", ("look", "MB"), memory)]
    partial = minutes < options.get_default("minutes")
    publish("image_soak", Options.of(arguments, partial=partial), figures, tables)
    if any(figure.met is False for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
