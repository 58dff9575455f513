"""`streamapp evaluate tracking | stability`: how well faces keep their ids, and how right and calm the app is."""

from __future__ import annotations

import asyncio
from functools import partial
from math import isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from streamapp.cli_evaluate_detection import parse_modes
from streamapp.errors import ExitCode
from streamapp.evaluation import stability, tracking
from streamapp.evaluation.clips import read_boxed_clips, read_gallery, read_people_clips
from streamapp.evaluation.enrolling import with_empty_gallery
from streamapp.evaluation.identity_errors import IdentityRow
from streamapp.evaluation.playback import play, with_runtime
from streamapp.evaluation.stability import GOAL, Comparison, StabilityReport
from streamapp.evaluation.statistics import Estimate
from streamapp.evaluation.tables import percent, print_table
from streamapp.settings import load_settings
from streamapp.tuning import tune_process

_MinIou = Annotated[float, typer.Option(min=0.01, max=1, help="Overlap from which a track is on a labelled face.")]
_SHORT_S = 3600.0
"""Less video than this is called a small sample."""


def evaluate_tracking(
    folder: Annotated[Path, typer.Argument(help="Clips with boxes beside them, as MOTChallenge's gt.txt.")],
    mode: Annotated[str, typer.Option(help="Modes, parted by commas.")] = "fast,standard",
    min_iou: _MinIou = 0.5,
) -> None:
    """MOTA, IDF1, id switches and fragmentations of each mode, against ids given frame by frame; 95 % intervals."""
    modes, clips = parse_modes(mode), read_boxed_clips(folder)
    tune_process()
    rows = asyncio.run(
        with_runtime(
            load_settings(), lambda runtime: tracking.evaluate(clips, modes, partial(play, runtime), min_iou=min_iou)
        )
    )
    print_table(
        f"tracking, {len(clips)} clips",
        ["mode", "ids by", "recall", "precision", "MOTA", "IDF1", "id switches", "fragmentations"],
        [
            [
                row.mode,
                tracking.BASELINE if row.is_baseline else "streamapp",
                *map(percent, (row.recall, row.precision, row.mota, row.idf1)),
                str(row.switches),
                str(row.fragments),
            ]
            for row in rows
        ],
        [
            "Switches and fragmentations a minute of a labelled face, with their number; intervals by Poisson, of "
            f"shares by drawing stretches of {tracking.BLOCK_S:g} s again.",
            f"{tracking.BASELINE}: the same boxes, where a detector saw the face in that very frame; each takes the id "
            f"of the box before that it overlaps most, from {tracking.GREEDY_IOU:g} on.",
            _small(rows[0].face_minutes * 60, "labelled faces"),
        ],
    )


def evaluate_stability(
    folder: Annotated[Path, typer.Argument(help="Clips, people.csv and gallery/NAME/ with pictures to enroll.")],
    every_s: Annotated[
        float, typer.Option("--every-s", min=0.02, help="The baseline looks at each face so often.")
    ] = 0.2,
    min_iou: _MinIou = 0.3,
) -> None:
    """False matches an hour, time to the right name and label changes, against single crops; 95 % intervals.

    Exit code 1 if the app makes more than a third of the errors of crops looked at every so many seconds."""
    people = read_gallery(folder)
    clips = read_people_clips(folder, list(people))
    tune_process()
    with TemporaryDirectory(prefix="streamapp-evaluate-") as made:
        settings = with_empty_gallery(load_settings(), Path(made))
        measure = partial(stability.measure, clips, people, every_s=every_s, min_iou=min_iou)
        report = asyncio.run(with_runtime(settings, measure))
    _print(report, every_s)
    if not report.comparisons[-1].meets_goal:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _print(report: StabilityReport, every_s: float) -> None:
    app = report.comparisons[0].app
    rows = [_identity_cells("streamapp", "", app)]
    for comparison in report.comparisons:
        rows.append(_identity_cells(comparison.way, "the app's", comparison.same_threshold))
        rows.append(_identity_cells(comparison.way, "equal recall", comparison.equal_recall))
    print_table(
        f"identity, {report.clips} clips, {report.video_s:.0f} s, {report.enrolled} people enrolled",
        ["by", "threshold", "recall", "wrong name", "false matches", "wrong names", "right after, s", "named"],
        rows,
        [
            "recall: share of the time in which enrolled people show their faces that they have the right name. "
            "wrong name: share of the time of all faces. false matches: strangers who are given a name, wrong names: "
            "enrolled people who are given another's, an hour of video, with their number.",
            "equal recall: the highest threshold at which the crops alone name people no less than the app, or the "
            "app's if there is none.",
            *(f"No face to be recognised in: {path.name}" for path in report.without_face),
        ],
    )
    labels = [row.label for row in report.comparisons[0].flicker]
    print_table(
        f"changes a minute of a shown label, {report.face_s:.0f} s of faces",
        ["by", *labels],
        [
            ["streamapp", *(str(row.app) for row in report.comparisons[0].flicker)],
            *([comparison.way, *(str(row.alone) for row in comparison.flicker)] for comparison in report.comparisons),
        ],
        [
            f"{stability.SAME_CROPS}: the very crops the app looked at, {report.crops[0]} of them. {stability.STEADY}: "
            f"each face every {every_s:g} s, {report.crops[1]} crops. Each crop counts until the next.",
            "Intervals by Poisson, of shares and medians by drawing again. The name of crops alone at equal recall.",
            *(_verdict(comparison) for comparison in report.comparisons),
            _small(report.video_s, "video"),
        ],
    )


def _identity_cells(way: str, threshold: str, row: IdentityRow) -> list[str]:
    first = "-" if isnan(row.first_s.value) else f"{row.first_s.value:.2f}"
    if not isnan(row.first_s.low):
        first += f" [{row.first_s.low:.2f}, {row.first_s.high:.2f}]"
    return [
        way,
        threshold,
        percent(row.recall),
        percent(row.wrong_time),
        str(row.false_matches),
        str(row.wrong_names),
        first,
        str(row.named),
    ]


def _verdict(comparison: Comparison) -> str:
    met = "met" if comparison.meets_goal else "missed"
    return (
        f"Against {comparison.way}: wrong names {_ratio(comparison.error_ratio)}, label changes "
        f"{_ratio(comparison.flicker_ratio)}. Goal, at most {GOAL:.2f} of each: {met}."
    )


def _ratio(ratio: Estimate) -> str:
    return "none in either" if isnan(ratio.value) else f"{ratio.value:.2f} times [{ratio.low:.2f}, {ratio.high:.2f}]"


def _small(seconds: float, what: str) -> str:
    return f"A small sample: {seconds:.0f} s of {what}. Mind the intervals." if seconds < _SHORT_S else ""
