"""`streamapp evaluate`: how good the models and the app are, on media you have. Here: recognition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from streamapp import cli_evaluate_detection, cli_evaluate_faces, cli_evaluate_video
from streamapp.assets import asset
from streamapp.cli_evaluate_faces import DETECTOR, Detector
from streamapp.errors import ExitCode, UsageError
from streamapp.evaluation.degradation import Degradation
from streamapp.evaluation.pictures import pictures_in
from streamapp.evaluation.recognition import FUSED, Recogniser, RecognitionReport, calibrate, evaluate, read_pairs
from streamapp.evaluation.statistics import SMALL_SAMPLE
from streamapp.evaluation.subject import open_face_finder, open_subjects
from streamapp.evaluation.tables import print_table, small_sample, without_face
from streamapp.evaluation.weights import fit_weights
from streamapp.gallery.calibration import Calibration, parse_calibrations
from streamapp.settings import load_settings
from streamapp.zoo import catalogue
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task

evaluate_app = typer.Typer(
    help="How good the models and the app are, measured on labelled pictures and clips.", no_args_is_help=True
)
evaluate_app.command("detection")(cli_evaluate_detection.evaluate_detection)
evaluate_app.command("liveness")(cli_evaluate_faces.evaluate_liveness)
evaluate_app.command("age-gender")(cli_evaluate_faces.evaluate_age_gender)
evaluate_app.command("deepfake")(cli_evaluate_faces.evaluate_deepfake)
evaluate_app.command("tracking")(cli_evaluate_video.evaluate_tracking)
evaluate_app.command("stability")(cli_evaluate_video.evaluate_stability)

_ENSEMBLE = ("arcface-mbf-w600k-int8=0.8", "mobilefacenet-insightface-y1=0.2")
_CALIBRATED = ("arcface-mbf-w600k-int8", "mobilefacenet-insightface-y1", "mobilefacenet-foamliu", "mobileface-v2")
_CALIBRATION = "models/calibration.toml"
_Members = Annotated[list[str] | None, typer.Option("--member", help="VARIANT=WEIGHT; may be given several times.")]
_Curves = Annotated[Path | None, typer.Option(help="Calibration file; default: the one that comes with the app.")]
_FacePx = Annotated[int | None, typer.Option(min=8, help="Scale faces down to this width first, as if far away.")]
_Blur = Annotated[float, typer.Option(min=0, max=50, help="Blur: deviation in pixels of a face 112 wide.")]
_Noise = Annotated[float, typer.Option(min=0, max=255, help="Noise: deviation of the grey levels added.")]
_People = Annotated[Path, typer.Argument(help="Pictures, each of a different person.")]


@evaluate_app.command("recognition")
def evaluate_recognition(
    pairs: Annotated[Path, typer.Argument(help="CSV with file_x, file_y, Decision (Yes, No); pictures beside it.")],
    member: _Members = None,
    detector: Detector = DETECTOR,
    face_px: _FacePx = None,
    blur: _Blur = 0,
    noise: _Noise = 0,
    calibration: _Curves = None,
    cross_validate: Annotated[bool, typer.Option(help="Calibrate on the other people of these pairs.")] = False,
) -> None:
    """AUC, and TAR at FAR 1 % and 0.1 %, of each recogniser and of their fusion, with 95 % intervals.

    Exit code 1 if the fusion is worse than its best member."""
    registry = Registry.from_settings(load_settings())
    labelled = read_pairs(pairs)
    members = _members(registry, member or _ENSEMBLE)
    curves = None if cross_validate else _calibrations(calibration, members)
    finder = open_face_finder(registry, detector)
    degradation = Degradation(face_px, blur, noise)
    report = evaluate(pairs.parent, labelled, members, finder, calibrations=curves, degradation=degradation)
    _print(report, degradation)
    if len(members) > 1 and not is_fusion_good(report):
        raise typer.Exit(ExitCode.CHECK_FAILED)


@evaluate_app.command("calibrate")
def calibrate_recognition(
    folder: _People,
    write: Annotated[Path, typer.Option(help="The calibration file to write.")],
    member: _Members = None,
    detector: Detector = DETECTOR,
    face_px: _FacePx = None,
    blur: _Blur = 0,
    noise: _Noise = 0,
) -> None:
    """How alike different people look to each recogniser: what makes their scores comparable."""
    registry = Registry.from_settings(load_settings())
    files = pictures_in(folder)
    degradation = Degradation(face_px, blur, noise)
    members = _members(registry, member or _CALIBRATED)
    curves = calibrate(files, members, open_face_finder(registry, detector), degradation)
    options = "".join(
        f" --{name} {value:g}" for name, value in (("face-px", face_px), ("blur", blur), ("noise", noise)) if value
    )
    head = (
        "# How alike different people look to each recogniser; streamapp/gallery/calibration.py explains the curves.\n"
        f"# Written by `streamapp evaluate calibrate {folder.name} --write {write.name}{options}` on {len(files)} "
        "pictures.\n# Only quantiles of cosines between different people are kept, no picture and no embedding.\n"
    )
    if len(files) < SMALL_SAMPLE:
        head += "# A small sample: rates below those of the last points are extrapolated.\n"
    write.write_text(head + "\n" + "\n".join(curve.to_toml() for curve in curves), "utf-8")
    for curve in curves:
        typer.echo(f"{curve.model}: {curve.impostor_pairs} pairs of different people")


@evaluate_app.command("weights")
def fit_ensemble_weights(
    folder: _People,
    member: _Members = None,
    detector: Detector = DETECTOR,
    face_px: _FacePx = None,
    blur: _Blur = 0,
    noise: _Noise = 0,
    calibration: _Curves = None,
) -> None:
    """Which weights of an ensemble its members' figures bear out, by pictures and their mirror images."""
    registry = Registry.from_settings(load_settings())
    files = pictures_in(folder)
    members = _members(registry, member or _ENSEMBLE)
    degradation = Degradation(face_px, blur, noise)
    curves = _calibrations(calibration, members)
    finder = open_face_finder(registry, detector)
    fitted = fit_weights(files, [member.subject for member in members], curves, finder, degradation)
    print_table(
        ", ".join(filter(None, ("weights of an ensemble", str(degradation)))),
        ["model", "weight", "d'", "correlation with the best"],
        [[f.model, f"{f.weight:.2f}", f"{f.separation:.2f}", f"{f.correlation:.2f}"] for f in fitted],
        [small_sample(len(files), "people")],
    )


def _calibrations(path: Path | None, members: list[Recogniser]) -> Mapping[str, Calibration]:
    path = path or asset(_CALIBRATION)
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


def _members(registry: Registry, texts: Sequence[str]) -> list[Recogniser]:
    """From VARIANT=WEIGHT."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            share = float(weight or 1)
        except ValueError as error:
            raise UsageError(f"{text!r} is not VARIANT=WEIGHT") from error
        if name in weights or not 0 < share < float("inf"):
            raise UsageError(f"{text!r}: members are different models, with weights above 0")
        weights[name] = share
    subjects = open_subjects(registry, Task.RECOGNISE, list(weights), catalogue.recogniser)
    return [Recogniser(subject, weight) for subject, weight in zip(subjects, weights.values(), strict=True)]


def _print(report: RecognitionReport, degradation: Degradation) -> None:
    rows = []
    for row in report.rows:
        weight = "" if row.weight is None else f"{row.weight:g}"
        estimates = (row.auc, row.tar_at_1_percent, row.tar_at_0_1_percent)
        rows.append([row.name, weight, *map(str, estimates), f"{row.separation:.2f}"])
    calibrated_on = "the other people of these pairs" if report.is_cross_validated else "pictures of other people"
    notes = [
        f"{report.same_pairs} pairs of the same, {report.different_pairs} of different people, {report.people} people; "
        f"95 % intervals by drawing pairs again; calibrated on {calibrated_on}."
    ]
    if report.fusion:
        notes += [
            f"AUC of the fusion less that of its best member, {report.fusion.best_member}: {report.fusion.auc_gain}.",
            "Pairs of different people at or above the level that stands for a FAR of 1 %: "
            f"{report.fusion.false_accepts}.",
        ]
    if report.different_pairs < SMALL_SAMPLE:
        notes += [
            small_sample(report.different_pairs, "pairs of different people")
            + " A FAR of 0.1 % cannot be told from 0, and pairs share pictures, so the intervals are too narrow."
        ]
    print_table(
        ", ".join(filter(None, ("recognition", str(degradation)))),
        ["model", "weight", "AUC", "TAR at FAR 1 %", "TAR at FAR 0.1 %", "d'"],
        rows,
        [*notes, without_face(report.without_face)],
    )
