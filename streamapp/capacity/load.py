"""Real streams put on a running server for a while, and what came of them: what `streamapp bench load` does.

It starts clients and nothing else: WebRTC publishers of its own, and streams that the server itself fetches (a camera's
RTSP address, or its own demo clip). All of them are ended again, whatever happens.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np

from streamapp.assets import asset
from streamapp.capacity.clip import camera_pictures
from streamapp.capacity.load_report import LoadReport, MachineLoad, ServerUse, StreamKind, StreamLoad
from streamapp.capacity.load_request import LoadRequest, OpenedStream
from streamapp.capacity.processes import CpuSample, listening_pid, memory_bytes, sample_cpu
from streamapp.capacity.publisher import Publisher
from streamapp.capacity.target import Target, is_loopback
from streamapp.errors import Overloaded, SourceError, SourceTimeout
from streamapp.results import DropReason
from streamapp.server.schemas import StreamInfo
from streamapp.server.status_schemas import Status

CLIP = "recordings/demo.mp4"
CLIP_S = 8.0
LIVE_TIMEOUT_S = 20.0
SETTLE_S = 2.0
POLL_S = 1.0


@dataclass(slots=True)
class _Memory:
    samples: list[int] = field(default_factory=list)

    def look(self, pid: int | None) -> None:
        found = None if pid is None else memory_bytes(pid)
        if found is not None:
            self.samples.append(found)


async def put_load(request: LoadRequest) -> LoadReport:
    """Raises UsageError for a server that does not answer or refuses, Overloaded if it takes no more streams,
    SourceError if one does not come to be live."""
    await asyncio.to_thread(request.check)
    pictures = await asyncio.to_thread(camera_pictures, asset(CLIP), CLIP_S) if request.webrtc else []
    async with Target.open(request.address) as target:
        await target.status()
        pid = await asyncio.to_thread(_server_pid, request)
        async with _streams(target, request, pictures) as opened:
            await _until_live(target, opened)
            await asyncio.sleep(SETTLE_S)
            return await _measure(target, request, opened, pid)


@asynccontextmanager
async def _streams(
    target: Target, request: LoadRequest, pictures: Sequence[bytes]
) -> AsyncIterator[list[OpenedStream]]:
    opened: list[OpenedStream] = []
    run = uuid4().hex[:6]
    async with AsyncExitStack() as ending:
        for kind, count, source in (
            (StreamKind.RTSP, request.rtsp, request.rtsp_url or ""),
            (StreamKind.CLIP, request.clips, "demo"),
        ):
            for number in range(count):
                stream = OpenedStream(f"load-{run}-{kind}-{number}", kind)
                try:
                    await target.add_stream(stream.name, source, request.mode)
                except Overloaded as error:
                    raise _refused(error, len(opened), "server.max_streams") from error
                ending.push_async_callback(target.end, f"/streams/{stream.name}")
                opened.append(stream)
        for number in range(request.webrtc):
            stream = OpenedStream("", StreamKind.WEBRTC)
            publisher = Publisher(pictures, number / request.webrtc, stream.on_message)
            ending.push_async_callback(publisher.close)

            async def answer(offer: str) -> str:
                text, session = await target.publish(request.mode, offer)
                ending.push_async_callback(target.end, session)
                return text

            try:
                await publisher.connect(answer)
            except Overloaded as error:
                raise _refused(error, len(opened), "webrtc.max_sessions") from error
            except TimeoutError as error:
                raise SourceTimeout(f"no WebRTC connection to {request.address} came about; is UDP blocked?") from error
            opened.append(stream)
        yield opened


async def _until_live(target: Target, opened: Sequence[OpenedStream]) -> None:
    """Raises SourceError naming the first stream that gives no results in time, and why."""
    deadline_s = time.monotonic() + LIVE_TIMEOUT_S
    while True:
        infos = {info.name: info for info in (await target.status()).streams}
        waiting = [stream for stream in opened if not stream.is_live(infos.get(stream.name))]
        if not waiting:
            return
        if time.monotonic() > deadline_s:
            info = infos.get(waiting[0].name)
            raise SourceError(
                f"{len(waiting)} of {len(opened)} streams gave no results in {LIVE_TIMEOUT_S:g} s; {waiting[0].kind}: "
                + (info.reason or info.state if info else "the server does not list it")
            )
        await asyncio.sleep(POLL_S / 4)


async def _measure(target: Target, request: LoadRequest, opened: Sequence[OpenedStream], pid: int | None) -> LoadReport:
    memory = _Memory()
    for stream in opened:
        stream.ages_ms = []
    before, start_s = await target.status(), time.monotonic()
    used, own_used_s = _cpu(pid), time.process_time()
    await asyncio.to_thread(memory.look, pid)
    after = before
    while (left_s := start_s + request.seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(POLL_S, left_s))
        await asyncio.to_thread(memory.look, pid)
        after = await target.status()
        infos = {info.name: info for info in after.streams}
        for stream in opened:
            if stream.name in infos:
                stream.on_poll(infos[stream.name])
    elapsed_s = time.monotonic() - start_s
    cores = None if used is None or pid is None else sample_cpu(pid).percent_since(used) / 100
    return _report(
        request,
        opened,
        before,
        after,
        elapsed_s,
        ServerUse.of(pid, cores, memory.samples),
        (time.process_time() - own_used_s) / elapsed_s,
    )


def _report(
    request: LoadRequest,
    opened: Sequence[OpenedStream],
    before: Status,
    after: Status,
    elapsed_s: float,
    use: ServerUse,
    own_cores: float,
) -> LoadReport:
    first, last = ({info.name: info for info in status.streams} for status in (before, after))
    streams = [_stream_load(stream, first.get(stream.name), last.get(stream.name), elapsed_s) for stream in opened]
    by_kind = {kind: [age for s in opened if s.kind is kind for age in s.ages_ms or ()] for kind in StreamKind}
    items = [sum(run.items for run in status.jobs.operations.values()) for status in (before, after)]
    return LoadReport(
        address=request.address,
        mode=request.mode,
        seconds=round(elapsed_s, 2),
        streams=tuple(streams),
        age_p95_ms={kind: age for kind, ages in by_kind.items() if (age := _percentile(ages, 95)) is not None},
        analyses_per_s=(items[1] - items[0]) / elapsed_s,
        machines=_machine_loads(before, after, elapsed_s),
        use=use,
        clients_cores=own_cores,
    )


def _machine_loads(before: Status, after: Status, elapsed_s: float) -> tuple[MachineLoad, ...]:
    """A machine whose counting began anew meanwhile counts from there on."""
    begun = {machine.name: machine for machine in before.machines}
    found = []
    for machine in after.machines:
        first = begun.get(machine.name)
        analysed = machine.analysed - (first.analysed if first else 0)
        sent_mb = machine.sent_mb - (first.sent_mb if first else 0.0)
        found.append(
            MachineLoad(
                machine.name,
                len(machine.streams),
                machine.busy_cores,
                max(0, analysed) / elapsed_s,
                1000 * max(0.0, sent_mb) / elapsed_s,
            )
        )
    return tuple(found)


def _stream_load(
    stream: OpenedStream, begun: StreamInfo | None, ended: StreamInfo | None, elapsed_s: float
) -> StreamLoad:
    frames = [0 if info is None else info.frames for info in (begun, ended)]
    return StreamLoad(
        name=stream.name,
        kind=stream.kind,
        lost=ended is None,
        results_per_s=max(0, frames[1] - frames[0]) / elapsed_s,
        age_p50_ms=_percentile(stream.ages_ms, 50),
        age_p95_ms=_percentile(stream.ages_ms, 95),
        dropped=_grown(begun.dropped if begun else {}, ended.dropped if ended else {}),
        jobs_dropped=_grown(begun.jobs_dropped if begun else {}, ended.jobs_dropped if ended else {}),
    )


def _server_pid(request: LoadRequest) -> int | None:
    if not is_loopback(request.address):
        return None
    parts = urlsplit(request.address)
    return listening_pid(parts.port or (443 if parts.scheme == "https" else 80))


def _cpu(pid: int | None) -> CpuSample | None:
    return None if pid is None else sample_cpu(pid)


def _refused(error: Overloaded, taken: int, setting: str) -> Overloaded:
    return Overloaded(
        f"the server took {taken} streams and refuses the next ({error}); it may hold as many as {setting} says",
        retry_after_s=error.retry_after_s,
    )


def _grown(before: Mapping[DropReason, int], after: Mapping[DropReason, int]) -> Mapping[DropReason, int]:
    return Counter(after) - Counter(before)


def _percentile(values: Sequence[float] | None, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
