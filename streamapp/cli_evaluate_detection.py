"""`streamapp evaluate detection`: how many faces each mode finds, and how many it makes up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from streamapp.errors import StreamappError, UsageError
from streamapp.evaluation.detection import (
    MAX_TIMES_EXTENT,
    MIN_LANDMARKS_INSIDE,
    DetectionRow,
    Examine,
    count_faces,
    evaluate,
)
from streamapp.evaluation.face_labels import LabelSet, Rule, read_label_sets
from streamapp.evaluation.pictures import pictures_in
from streamapp.evaluation.tables import print_table, small_sample
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.models import Models
from streamapp.results import ImageResult
from streamapp.settings import Settings, load_settings

_MODES = "fast,standard,precision"
_CLIENT = "evaluate"
_Measured = TypeVar("_Measured")


def evaluate_detection(
    source: Annotated[Path, typer.Argument(help="Label file (COCO, or file and box as JSON or CSV), or folder.")],
    mode: Annotated[str, typer.Option(help="Modes, parted by commas.")] = _MODES,
    min_iou: Annotated[float, typer.Option(min=0.01, max=1, help="Overlap from which a face counts as found.")] = 0.5,
) -> None:
    """Recall and precision of each mode on labelled faces, with 95 % intervals, and milliseconds per picture.

    A folder is searched, with the folders below it, for label files; if it has none, faces are only counted."""
    modes = parse_modes(mode)
    sets = read_label_sets(source)
    settings = load_settings()
    if sets:
        rows = asyncio.run(_with_models(settings, partial(evaluate, sets, modes, min_iou=min_iou)))
        print_rows(rows, min_iou)
        return
    found = asyncio.run(_with_models(settings, partial(count_faces, pictures_in(source), modes)))
    print_table(
        "faces found",
        ["picture", *modes],
        [[picture.name, *(str(count) for _, count in picture.counts)] for picture in found],
        ["Nothing is labelled here: faces found, right or wrong."],
    )


def parse_modes(text: str) -> list[Mode]:
    """Raises UsageError."""
    try:
        return list(dict.fromkeys(Mode(word.strip()) for word in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--mode {text}: {error}; known are {', '.join(Mode)}") from error


def print_rows(rows: Sequence[DetectionRow], min_iou: float) -> None:
    """A table for each rule by which faces are found, in the order in which they come first."""
    for rule in dict.fromkeys(row.labels.rule for row in rows):
        of_rule = [row for row in rows if row.labels.rule is rule]
        labelled = sum(row.recall.total for row in of_rule if row.mode is of_rule[0].mode)
        incomplete = sorted({row.labels.name for row in of_rule if not row.labels.is_complete})
        print_table(
            "faces labelled by boxes" if rule is Rule.BOX else "faces labelled by landmarks",
            ["set", "mode", "recall", "precision", "unjudged", "mean IoU", "ms per picture"],
            [
                [
                    row.labels.name,
                    row.mode,
                    str(row.recall),
                    str(row.precision),
                    str(row.unjudged),
                    "-" if isnan(row.mean_iou) else f"{row.mean_iou:.2f}",
                    f"{row.median_ms:.0f}",
                ]
                for row in (*of_rule, *_totals(of_rule))
            ],
            [
                f"Found: {_rule_in_words(rule, min_iou)}, one to one. 95 % intervals by Wilson; times are medians.",
                f"Not all faces are labelled in {', '.join(incomplete)}: found faces beside all labelled ones are "
                "unjudged, neither right nor wrong."
                if incomplete
                else "",
                *dict.fromkeys(f"Mode {row.mode}: {reason}" for row in of_rule for reason in row.skipped),
                small_sample(labelled, "labelled faces"),
            ],
        )


def _totals(rows: Sequence[DetectionRow]) -> list[DetectionRow]:
    """Each mode on all sets together; nothing for a single set."""
    modes = list(dict.fromkeys(row.mode for row in rows))
    if len(rows) == len(modes):
        return []
    together = LabelSet("all", rows[0].labels.rule, is_complete=False, pictures=())
    return [
        DetectionRow(
            together,
            mode,
            tuple(outcome for row in rows if row.mode is mode for outcome in row.outcomes),
            tuple(time_ms for row in rows if row.mode is mode for time_ms in row.times_ms),
            skipped=(),
        )
        for mode in modes
    ]


def _rule_in_words(rule: Rule, min_iou: float) -> str:
    if rule is Rule.BOX:
        return f"IoU {min_iou:g} or more"
    inside, times = f"{MIN_LANDMARKS_INSIDE:.0%}", f"{MAX_TIMES_EXTENT:g}"
    return f"the box holds {inside} of the landmarks and has at most {times} times the area they reach over"


async def _with_models(settings: Settings, measure: Callable[[Examine], Awaitable[_Measured]]) -> _Measured:
    """What `measure` finds with the app's own way of examining pictures. Raises what it raises."""
    failed: StreamappError | None = None
    async with Models.start(settings) as models:

        async def examine(rgb: Image, mode: Mode) -> ImageResult:
            return await models.examine(rgb, mode, client=_CLIENT)

        try:
            return await measure(examine)
        except StreamappError as error:
            failed = error  # raised again outside, as a task group would wrap it
    raise failed
