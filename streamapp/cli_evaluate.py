"""`streamapp evaluate recognition`: how good the models are, on pictures you have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from streamapp.assets import asset
from streamapp.errors import ExitCode, UsageError
from streamapp.evaluation.recognition import FUSED, Recogniser, RecognitionReport, calibrate, evaluate, read_pairs
from streamapp.frame import Image
from streamapp.gallery.calibration import Calibration, parse_calibrations
from streamapp.geometry import box_areas
from streamapp.settings import load_settings
from streamapp.zoo import catalogue
from streamapp.zoo.base import Face, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from streamapp.zoo.spec import Task

evaluate_app = typer.Typer(help="How good the models are, measured on labelled pictures.", no_args_is_help=True)

_ENSEMBLE = ("mobilefacenet-insightface-y1=0.25", "arcface-mbf-w600k-int8=0.5", "mobilefacenet-foamliu=0.25")
_CALIBRATED = ("arcface-mbf-w600k-int8", "mobilefacenet-insightface-y1", "mobilefacenet-foamliu", "mobileface-v2")
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_SMALL_SAMPLE = 1000
_PIPE_WIDTH = 160
_Members = Annotated[list[str] | None, typer.Option("--member", help="VARIANT=WEIGHT; may be given several times.")]
_Detector = Annotated[str, typer.Option(help="Variant that finds the faces; it must give landmarks.")]
_FacePx = Annotated[int | None, typer.Option(min=8, help="Scale faces down to this width first, as if far away.")]
_Curves = Annotated[Path | None, typer.Option(help="Calibration file; default: the one that comes with the app.")]
_CALIBRATION = "models/calibration.toml"


@evaluate_app.command("recognition")
def evaluate_recognition(
    pairs: Annotated[Path, typer.Argument(help="CSV with file_x, file_y, Decision (Yes, No); pictures beside it.")],
    member: _Members = None,
    detector: _Detector = "yolov8-lite-t-face",
    face_px: _FacePx = None,
    calibration: _Curves = None,
    cross_validate: Annotated[bool, typer.Option(help="Calibrate on the other people of these pairs.")] = False,
) -> None:
    """AUC, and TAR at FAR 1 % and 0.1 %, of each recogniser and of their fusion, with 95 % intervals.

    Exit code 1 if the fusion is worse than its best member."""
    registry = Registry.from_settings(load_settings())
    members = [_member(registry, text) for text in member or _ENSEMBLE]
    curves = None if cross_validate else _calibrations(calibration or asset(_CALIBRATION), members)
    finder = _face_finder(registry, detector)
    report = evaluate(pairs.parent, read_pairs(pairs), members, finder, calibrations=curves, face_px=face_px)
    _print(report, face_px)
    if len(members) > 1 and not is_fusion_good(report):
        raise typer.Exit(ExitCode.CHECK_FAILED)


@evaluate_app.command("calibrate")
def calibrate_recognition(
    folder: Annotated[Path, typer.Argument(help="Pictures, each of a different person.")],
    write: Annotated[Path, typer.Option(help="The calibration file to write.")],
    member: _Members = None,
    detector: _Detector = "yolov8-lite-t-face",
) -> None:
    """How alike different people look to each recogniser: what makes their scores comparable."""
    registry = Registry.from_settings(load_settings())
    members = [_member(registry, text) for text in member or _CALIBRATED]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES) if folder.is_dir() else []
    curves = calibrate(files, members, _face_finder(registry, detector))
    head = (
        "# How alike different people look to each recogniser; streamapp/gallery/calibration.py explains the curves.\n"
        f"# Written by `streamapp evaluate calibrate {folder.name} --write {write.name}` on {len(files)} pictures.\n\n"
    )
    write.write_text(head + "\n".join(curve.to_toml() for curve in curves), "utf-8")
    for curve in curves:
        typer.echo(f"{curve.model}: {curve.impostor_pairs} pairs of different people")


def _calibrations(path: Path, members: list[Recogniser]) -> Mapping[str, Calibration]:
    try:
        curves = parse_calibrations(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    lacking = [member.name for member in members if member.name not in curves]
    if lacking:
        raise UsageError(f"{path} has no calibration of {', '.join(lacking)}; use --cross-validate, or calibrate first")
    return curves


def is_fusion_good(report: RecognitionReport) -> bool:
    """Whether no member alone has a higher AUC or accepts more at a FAR of 1 % than the fusion."""
    fused = report.row(FUSED)
    members = [row for row in report.rows if row.weight is not None]
    return all(
        fused.auc.value >= row.auc.value and fused.tar_at_1_percent.value >= row.tar_at_1_percent.value
        for row in members
    )


def _member(registry: Registry, text: str) -> Recogniser:
    name, _, weight = text.partition("=")
    try:
        share = float(weight or 1)
    except ValueError as error:
        raise UsageError(f"{text!r} is not VARIANT=WEIGHT") from error
    variant = registry.manifest.named(name, Task.RECOGNISE)
    return Recogniser(catalogue.recogniser(name), catalogue.load(registry, variant, SessionOptions()), share)


def _face_finder(registry: Registry, name: str) -> Callable[[Image], Face | None]:
    model = catalogue.detector(name)
    session = catalogue.load(registry, registry.manifest.named(name, Task.DETECT), SessionOptions())

    def find(rgb: Image) -> Face | None:
        """The largest face."""
        (found,) = infer(session, model, [letterbox(rgb, model.spec.side)])
        return Face.at(found, int(np.argmax(box_areas(found.boxes)))) if len(found) else None

    return find


def _print(report: RecognitionReport, face_px: int | None) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=_PIPE_WIDTH)
    faces = f", faces scaled down to {face_px} px" if face_px else ""
    table = Table("model", "weight", "AUC", "TAR at FAR 1 %", "TAR at FAR 0.1 %", "d'", title=f"recognition{faces}")
    for row in report.rows:
        weight = "" if row.weight is None else f"{row.weight:g}"
        estimates = (row.auc, row.tar_at_1_percent, row.tar_at_0_1_percent)
        table.add_row(row.name, weight, *map(str, estimates), f"{row.separation:.2f}")
    console.print(table)
    calibrated_on = "the other people of these pairs" if report.is_cross_validated else "pictures of other people"
    console.print(
        f"{report.same_pairs} pairs of the same, {report.different_pairs} of different people, {report.people} people; "
        f"95 % intervals by drawing pairs again; calibrated on {calibrated_on}."
    )
    if report.different_pairs < _SMALL_SAMPLE:
        console.print(
            f"A small sample: with {report.different_pairs} pairs of different people a FAR of 0.1 % cannot be told "
            "from 0."
        )
    if report.without_face:
        console.print(f"No face was found in: {', '.join(report.without_face)}")
