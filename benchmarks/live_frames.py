"""What escalation costs the frames: a live 720p30 camera in mode full against the same one in mode fast, in turns."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import av

from benchmarks.live import FPS, FRAME_PATH, ClipCamera, frame_path_ms, hall, percentile, street
from benchmarks.report import Cell, Figure, Table, progress
from streamapp.faces import Mode
from streamapp.results import DropReason, FrameResult
from streamapp.runtime import Runtime
from streamapp.settings import Settings
from streamapp.sinks.result_log import ResultLog

FPS_GOAL, FRAME_PATH_GOAL_MS = 29.5, 8.0
SETTLE_S = 1.0
"""At the beginning of each turn, not counted: the screener is opened, the first faces are new all at once."""
MIN_LIFE_S = 1.0
"""Tracks that live shorter need not have been analysed."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one stretch of a live stream gave."""

    results: tuple[FrameResult, ...]
    wanted: int
    keyframes: Mapping[str, int]
    items: Mapping[str, int]
    """Analysed faces by model, sweeps included."""
    dropped_jobs: Mapping[DropReason, int]


async def take_turn(runtime: Runtime, pictures: Sequence[av.VideoFrame], mode: Mode, seconds: float) -> Turn:
    """A live stream for SETTLE_S, and `seconds` more that count."""
    log, name = ResultLog(), f"{mode}-camera"
    before = runtime.models.scheduler.state()
    session = runtime.open_stream(name, lambda numbering: ClipCamera(numbering, pictures), mode=mode)
    session.attach(log)
    while not log.results:  # noqa: ASYNC110 - the stream tells nobody that it has begun
        await asyncio.sleep(0.01)
    await asyncio.sleep(SETTLE_S + seconds)
    await runtime.close_stream(name)
    after = runtime.models.scheduler.state()
    first_s = log.results[0].pts_s + SETTLE_S
    counted = tuple(result for result in log.results if first_s <= result.pts_s < first_s + seconds)
    done = {
        name: state.items - before.operations[name].items if name in before.operations else state.items
        for name, state in after.operations.items()
    }
    keyframes = session.escalator.keyframes if session.escalator else Counter[str]()
    dropped = {reason: count - before.dropped.get(reason, 0) for reason, count in after.dropped.items()}
    return Turn(counted, round(seconds * FPS), dict(keyframes), done, dropped)


@dataclass(frozen=True, slots=True)
class Stream:
    """All turns of one clip and mode."""

    name: str
    turns: Sequence[Turn]

    COLUMNS: ClassVar = (
        "clip, mode",
        "fps",
        "frame path p50 ms",
        "p95",
        *(f"{step} ms" for step in FRAME_PATH),
        "total p50 ms",
        "p95",
        "stale frames",
        "faces a frame",
    )

    @property
    def results(self) -> list[FrameResult]:
        return [result for turn in self.turns for result in turn.results]

    @property
    def fps(self) -> float:
        return FPS * len(self.results) / sum(turn.wanted for turn in self.turns)

    def frame_path_ms(self, share: float) -> float:
        return percentile([frame_path_ms(result) for result in self.results], share)

    def row(self) -> tuple[Cell, ...]:
        results = self.results
        steps = (percentile([result.timing_ms.get(step, 0.0) for result in results], 0.5) for step in FRAME_PATH)
        total = [result.timing_ms["total"] for result in results]
        return (
            self.name,
            self.fps,
            self.frame_path_ms(0.5),
            self.frame_path_ms(0.95),
            *steps,
            percentile(total, 0.5),
            percentile(total, 0.95),
            sum(turn.wanted for turn in self.turns) - len(results),
            sum(len(result.tracks) for result in results) / max(1, len(results)),
        )


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is shown is, and how soon a new face has it. Seconds."""

    ages_s: list[float]
    first_s: list[float]
    """From a track's first frame to the first that shows an analysis."""
    tracks: int
    unanswered: int

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Freshness:
        ages_s: list[float] = []
        first_s: list[float] = []
        tracks = unanswered = 0
        for turn in turns:
            seen: dict[int, tuple[float, float]] = {}
            answered: dict[int, float] = {}
            for result in turn.results:
                for track in result.tracks:
                    born_s, _ = seen.get(track.id, (result.pts_s, 0.0))
                    seen[track.id] = (born_s, result.pts_s)
                    shown = [track.analyses.get("gender_age"), track.analyses.get("liveness")]
                    ages_s += [analysis.age_s for analysis in shown if analysis is not None]
                    if any(shown):
                        answered.setdefault(track.id, result.pts_s)
            start_s = turn.results[0].pts_s if turn.results else 0.0
            for track_id, (born_s, last_s) in seen.items():
                if born_s > start_s and track_id in answered:  # those of the beginning are older than they look
                    first_s.append(answered[track_id] - born_s)
                if last_s - born_s >= MIN_LIFE_S:
                    tracks += 1
                    unanswered += track_id not in answered
        return cls(ages_s, first_s, tracks, unanswered)


async def measure_live(settings: Settings, quick: bool) -> tuple[list[Table], list[Figure]]:
    clips = {"hall": hall(), "street": street()}
    rounds, seconds = (1, 4.0) if quick else (3, 16.0)
    streams = {(clip, mode): Stream(f"{clip}, {mode}", []) for clip in clips for mode in (Mode.FAST, Mode.FULL)}
    async with Runtime.start(settings) as runtime:
        await take_turn(runtime, clips["hall"], Mode.FULL, 4.0)  # loads the models
        for number in range(rounds):
            order = list(streams) if number % 2 == 0 else list(reversed(streams))
            for clip, mode in order:
                progress(f"live: round {number + 1} of {rounds}, {clip}, {mode}, {seconds:g} s")
                turn = await take_turn(runtime, clips[clip], mode, seconds)
                streams[clip, mode] = Stream(streams[clip, mode].name, [*streams[clip, mode].turns, turn])
    return live_report(streams)


def live_report(streams: Mapping[tuple[str, Mode], Stream]) -> tuple[list[Table], list[Figure]]:
    figures: list[Figure] = []
    keyframes: list[tuple[Cell, ...]] = []
    fresh: list[tuple[Cell, ...]] = []
    for (clip, mode), stream in streams.items():
        if mode is Mode.FAST:
            continue
        p95, fps = stream.frame_path_ms(0.95), stream.fps
        figures.append(Figure(f"720p30 {clip}, mode full", fps, "fps", f">= {FPS_GOAL}", fps >= FPS_GOAL))
        goal = f"< {FRAME_PATH_GOAL_MS:g}"
        figures.append(Figure(f"{clip}: frame path p95, mode full", p95, "ms", goal, p95 < FRAME_PATH_GOAL_MS))
        ratio = p95 / streams[clip, Mode.FAST].frame_path_ms(0.95)
        figures.append(Figure(f"{clip}: frame path p95, full over fast", ratio, "times"))
        reasons: Counter[str] = Counter()
        items: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        for turn in stream.turns:
            reasons.update(turn.keyframes)
            items.update(turn.items)
            dropped.update(turn.dropped_jobs)
        minutes = sum(turn.wanted for turn in stream.turns) / FPS / 60
        keyframes += [(clip, "keyframe", reason, count, count / minutes) for reason, count in reasons.most_common()]
        keyframes += [(clip, "analysed", model, count, count / minutes) for model, count in items.most_common()]
        keyframes += [
            (clip, "dropped job", reason, count, count / minutes) for reason, count in dropped.items() if count
        ]
        found = Freshness.of(stream.turns)
        fresh.append(
            (
                clip,
                found.tracks,
                found.unanswered,
                *(1e3 * percentile(found.first_s, share) for share in (0.5, 0.95)),
                *(percentile(found.ages_s, share) for share in (0.5, 0.95)),
            )
        )
        figures.append(Figure(f"{clip}: age of shown analyses p95", percentile(found.ages_s, 0.95), "s"))
    notes = (
        "Live 1280x720 at 30 pictures a second. frame path: convert, screen, regions, track and shots; total: from "
        "when the picture was due at the camera to its result leaving the pump. Steps are medians.",
    )
    return [
        Table(
            "The frame path beside escalation",
            Stream.COLUMNS,
            tuple(stream.row() for stream in streams.values()),
            notes,
        ),
        Table("What was escalated", ("clip", "what", "which", "count", "a minute"), tuple(keyframes)),
        Table(
            "What is shown of faces",
            ("clip", "tracks", "never analysed", "first analysis p50 ms", "p95", "age p50 s", "age p95 s"),
            tuple(fresh),
            (f"tracks: that lived {MIN_LIFE_S:g} s or more. first analysis: from a track's first frame to it.",),
        ),
    ], figures
