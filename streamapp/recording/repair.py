"""Makes of a recording that was cut off one that is whole: what can be read of it is copied, without coding anew."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamapp.recording.entry import RESULTS_FILE, RecordingEntry, RecordingState, VideoPart
from streamapp.recording.sidecar import cut_off

_log = logging.getLogger(__name__)

_READ = {"protocol_whitelist": "file"}
_WRITE = {"mp4": {"movflags": "negative_cts_offsets", "use_editlist": "0"}, "webm": {}}


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a part is in truth, and the time in the stream of each of its pictures."""

    part: VideoPart
    times_s: tuple[float, ...]


def mended(
    folder: Path, entry: RecordingEntry, state: RecordingState, reason: str, *, min_free_bytes: int
) -> RecordingEntry:
    """Makes a recording that was cut off one that has ended: of its last part what plays, of its results those whose
    picture is there. Returns what is to be written down of it. Raises OSError, ValueError."""
    parts = list(entry.parts[:-1])
    whole_s = parts[-1].last_pts_s if parts else -math.inf
    end = _repaired(folder, entry.parts[-1], min_free_bytes=min_free_bytes) if entry.parts else None
    if end is not None:
        parts.append(end.part)
    for file in folder.glob("*video-*"):
        if file.name not in {part.file for part in parts}:
            file.unlink()
    sidecar = folder / RESULTS_FILE
    ended_at = max(sidecar.lstat().st_mtime, entry.started_at)
    results = cut_off(sidecar, whole_s, end.times_s if end is not None else ())
    found = {"parts": tuple(parts), "results": results, "state": state, "reason": reason, "ended_at": ended_at}
    found["bytes"] = sum((folder / name).lstat().st_size for name in (RESULTS_FILE, *(part.file for part in parts)))
    return entry.model_copy(update=found)


def _repaired(folder: Path, part: VideoPart, *, min_free_bytes: int) -> Repaired | None:
    """What of a part plays; None, and the file is gone, if nothing does. Without room for a copy the file
    stays as it is: it plays, but takes longer to seek in. Raises OSError."""
    path = folder / part.file
    fresh = folder / f"new-{part.file}"
    has_room = shutil.disk_usage(folder).free - path.lstat().st_size > min_free_bytes
    try:
        found = _copied(path, part, fresh if has_room else None)
    except av.error.FFmpegError as error:
        _log.info("nothing of %s plays: %s", path, error)
        found = None
    if found is None:
        path.unlink()
        fresh.unlink(missing_ok=True)
    elif has_room:
        fresh.rename(path)
    return found


def _copied(path: Path, part: VideoPart, fresh: Path | None) -> Repaired | None:
    """Reads all whole pictures and, if `fresh` is given, writes them there."""
    times_s: list[float] = []
    first: int | None = None
    first_s = 0.0
    container_format = path.suffix[1:]
    with av.open(str(path), "r", format=container_format, options=_READ) as old:
        stream = old.streams.video[0]
        options = _WRITE[container_format]
        new = None if fresh is None else av.open(str(fresh), "w", format=container_format, options=options)
        try:
            copy = None if new is None else new.add_stream_from_template(stream)
            for packet in _whole_packets(old, stream):
                assert packet.pts is not None
                if first is None:  # the I-frame that is the part's time 0; in fragments with B-frames it comes later
                    first = packet.pts
                    first_s = float(first * packet.time_base)
                packet.pts -= first
                packet.dts = packet.pts if packet.dts is None else packet.dts - first
                times_s.append(float(packet.pts * packet.time_base))
                if new is not None and copy is not None:
                    packet.stream = copy
                    new.mux(packet)
        finally:
            if new is not None:
                new.close()
    if not times_s:
        return None
    last_s = max(times_s)
    interval_s = (last_s - min(times_s)) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
    found = {"pictures": len(times_s), "seconds": round(last_s + interval_s, 3)}
    found |= {"last_pts_s": round(part.start_pts_s + last_s, 6)}
    if fresh is None:
        found["start_pts_s"] = round(part.start_pts_s - first_s, 6)
    return Repaired(part.model_copy(update=found), tuple(part.start_pts_s + time_s for time_s in times_s))


def _whole_packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """Up to the first one that is damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        if packet.is_corrupt:
            return
        if packet.size and packet.pts is not None:
            yield packet
