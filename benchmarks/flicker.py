"""How often a label of a face changes, on real videos: what each crop alone says, and what is shown.

Every video is read without loss in mode full, so the outcome depends on its frames alone. A crop alone is a history of
one finding: the same borders, no average and no hysteresis. Videos are taken twice: with the keyframes that the policy
chooses, and with one every half a second.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.media import shared_dir
from benchmarks.report import Cell, Figure, Table, progress
from streamapp.evaluation.crop_log import LABELS, CropLog, labels_of
from streamapp.faces import Mode
from streamapp.pipeline.escalation import Escalator
from streamapp.results import FrameResult
from streamapp.runtime import Runtime
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox
from streamapp.sinks.result_log import ResultLog
from streamapp.sources.base import Pace
from streamapp.sources.file import FileSource
from streamapp.zoo import catalogue
from streamapp.zoo.lineup import FaceAnalyser

ASK_EVERY_S = 0.5
DEEPFAKE_STAND_IN = "meso-inception-df"
"""Where the profile's own deepfake model is not installed: a small one of real weights, which is in no profile."""


class AskingLog(ResultLog):
    """Keeps results, and asks for a keyframe every ASK_EVERY_S of the stream."""

    def __init__(self, escalator: Escalator) -> None:
        super().__init__()
        self._escalator = escalator
        self._asked_s = 0.0

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            self.results.append(output.result)
            if output.result.pts_s >= self._asked_s + ASK_EVERY_S:
                self._asked_s = output.result.pts_s
                self._escalator.ask()


@dataclass(slots=True)
class Changes:
    """Of one video and choice of keyframes, by label."""

    alone: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    crops: Counter[str] = field(default_factory=Counter)
    face_s: Counter[str] = field(default_factory=Counter)
    """How long a label was on screen, over all faces, in seconds."""

    def add(self, other: Changes) -> None:
        for name in ("alone", "shown", "crops", "face_s"):
            getattr(self, name).update(getattr(other, name))


def changes_of(results: Sequence[FrameResult], board: CropLog) -> Changes:
    found = Changes()
    shown: dict[tuple[int, str], list[str]] = defaultdict(list)
    before_s = results[0].pts_s if results else 0.0
    for result in results:
        for track in result.tracks:
            for label, value in labels_of(track.analyses).items():
                shown[track.id, label].append(value)
                found.face_s[label] += result.pts_s - before_s  # type: ignore[assignment]  # seconds, not a count
        before_s = result.pts_s
    alone: dict[tuple[int, str], list[str]] = defaultdict(list)
    for crop in board.crops:
        for label, value in crop.labels.items():
            alone[crop.track, label].append(value)
            found.crops[label] += 1
    for (_, label), values in shown.items():
        found.shown[label] += _count(values)
    for (_, label), values in alone.items():
        found.alone[label] += _count(values)
    return found


def _count(values: Iterable[str]) -> int:
    return sum(a != b for a, b in pairwise(values))


async def measure_flicker(settings: Settings, quick: bool) -> tuple[list[Table], list[Figure]]:
    shared = shared_dir()
    videos = sorted((shared / "media/videos").glob("*.mp4"), key=lambda path: path.stat().st_size) if shared else []
    videos = videos[:1] if quick else videos
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    async with Runtime.start(settings) as runtime:
        _add_deepfake(runtime)
        for asked in (False, True):
            way = f"every {ASK_EVERY_S:g} s" if asked else "by policy"
            total = Changes()
            for path in videos:
                progress(f"flicker: {path.name}, keyframes {way}")
                found = await changes_in(runtime, path, asked)
                rows += _rows(path.stem, way, found)
                total.add(found)
            if len(videos) > 1:
                rows += _rows("all", way, total)
            minutes = sum(total.face_s.values()) / 60
            if minutes:
                alone, shown = sum(total.alone.values()) / minutes, sum(total.shown.values()) / minutes
                figures.append(Figure(f"label changes, crops alone, keyframes {way}", alone, "a minute of a label"))
                figures.append(
                    Figure(
                        f"label changes, shown, keyframes {way}", shown, "a minute of a label", "< alone", shown < alone
                    )
                )
    columns = (
        "video",
        "keyframes",
        "label",
        "crops",
        "label seconds",
        "changes alone",
        "shown",
        "alone a minute",
        "shown",
    )
    notes = ("alone: what each crop says by itself. a minute: of a face with that label on screen.",)
    return [Table("Label changes", columns, tuple(rows), notes)], figures


def _rows(video: str, way: str, found: Changes) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for label in LABELS:
        minutes = found.face_s[label] / 60
        if minutes:
            alone, shown = found.alone[label], found.shown[label]
            rows.append(
                (video, way, label, found.crops[label], 60 * minutes, alone, shown, alone / minutes, shown / minutes)
            )
    return rows


async def changes_in(runtime: Runtime, path: Path, asked: bool) -> Changes:
    session = runtime.open_stream(
        "video",
        lambda numbering: FileSource(path, numbering, runtime.settings.sources, pace=Pace.ASAP),
        mode=Mode.FULL,
        lossless=True,
    )
    assert session.escalator is not None
    board = CropLog(runtime.models.vote_rules, runtime.models.name_of)
    session.escalator.board = board
    log = AskingLog(session.escalator) if asked else ResultLog()
    session.attach(log)
    await runtime.wait_closed("video")
    if session.error is not None:
        raise session.error
    await runtime.close_stream("video")
    return changes_of(log.results, board)


def _add_deepfake(runtime: Runtime) -> None:
    lineup, registry = runtime.models.lineup, runtime.models.registry
    if lineup.deepfake is None and registry.is_installed(registry.manifest.named(DEEPFAKE_STAND_IN)):
        stand_in = FaceAnalyser(catalogue.deepfake_detector(DEEPFAKE_STAND_IN))
        runtime.models.lineup = replace(lineup, deepfake=stand_in)
