"""`streamapp evaluate liveness | age-gender | deepfake`: how good the models that judge one face are."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from streamapp.evaluation import age_gender, deepfake, liveness
from streamapp.evaluation.pictures import read_labelled
from streamapp.evaluation.statistics import Estimate
from streamapp.evaluation.subject import even_if_filling, open_face_finder, open_subjects
from streamapp.evaluation.tables import print_table, small_sample, without_face
from streamapp.settings import load_settings
from streamapp.zoo import catalogue
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task

Detector = Annotated[str, typer.Option(help="Variant that finds the faces; it must give landmarks.")]
_Models = Annotated[
    list[str] | None, typer.Option("--model", help="Variant; may be given several times. Default: all installed ones.")
]
_Threshold = Annotated[float, typer.Option(min=0, max=1, help="Scores from here on count.")]
DETECTOR = "yolov8-lite-t-face"


def evaluate_liveness(
    pictures: Annotated[
        Path, typer.Argument(help="Folder with live/ and attack-KIND/, or CSV with file, label (live, attack-KIND).")
    ],
    model: _Models = None,
    threshold: _Threshold = 0.5,
    detector: Detector = DETECTOR,
) -> None:
    """APCER by kind of attack, BPCER and ACER (ISO/IEC 30107-3) of each anti-spoofing model, with 95 % intervals."""
    registry = Registry.from_settings(load_settings())
    labelled = read_labelled(pictures)
    subjects = open_subjects(registry, Task.ANTISPOOF, model or (), catalogue.antispoofer)
    report = liveness.evaluate(labelled, subjects, open_face_finder(registry, detector), threshold)
    kinds = [row.kind for row in report.rows[0].attacks]
    print_table(
        f"liveness, a score of {threshold:g} or more is live",
        ["model", *(f"APCER {kind}" for kind in kinds), "BPCER", "ACER"],
        [
            [row.model, *(str(attack.apcer) for attack in row.attacks), str(row.bpcer), _percent(row.acer)]
            for row in report.rows
        ],
        [
            "APCER: attacks taken for living people. BPCER: living people taken for attacks. ACER: the mean of BPCER "
            "and the highest APCER. 95 % intervals by Wilson.",
            small_sample(report.pictures, "pictures"),
            without_face(report.without_face),
        ],
    )


def evaluate_age_gender(
    folder: Annotated[Path, typer.Argument(help="Pictures named age_gender_race_date (0 male, 1 female), as UTKFace.")],
    model: _Models = None,
    detector: Detector = DETECTOR,
) -> None:
    """Mean absolute error of age, and the share of right genders, of each model, with 95 % intervals."""
    registry = Registry.from_settings(load_settings())
    people = age_gender.read_people(folder)
    subjects = open_subjects(registry, Task.GENDER_AGE, model or (), catalogue.gender_age_net)
    report = age_gender.evaluate(people, subjects, even_if_filling(open_face_finder(registry, detector)))
    print_table(
        "age and gender",
        ["model", "age: mean absolute error", "age: mean error", "gender right"],
        [[row.model, _years(row.age_error_years), _years(row.age_bias_years), str(row.gender)] for row in report.rows],
        [
            "Ages in years; 95 % intervals by drawing people again, of shares by Wilson.",
            small_sample(report.people, "people"),
            without_face(report.without_face),
        ],
    )


def evaluate_deepfake(
    pictures: Annotated[
        Path, typer.Argument(help="Folder with real*/ and fake*/ or df*/, or CSV with file, label (real, fake, df).")
    ],
    model: _Models = None,
    threshold: _Threshold = 0.5,
    detector: Detector = DETECTOR,
) -> None:
    """AUC, fakes missed and false alarms of each deepfake model, with 95 % intervals."""
    registry = Registry.from_settings(load_settings())
    labelled = read_labelled(pictures)
    subjects = open_subjects(registry, Task.DEEPFAKE, model or (), catalogue.deepfake_detector)
    report = deepfake.evaluate(labelled, subjects, even_if_filling(open_face_finder(registry, detector)), threshold)
    print_table(
        f"deepfake, a score of {threshold:g} or more is fake",
        ["model", "AUC", "fakes missed", "false alarms"],
        [[row.model, str(row.auc), str(row.missed), str(row.false_alarms)] for row in report.rows],
        [
            "95 % intervals of the AUC by drawing pictures again, of shares by Wilson.",
            small_sample(report.pictures, "pictures"),
            without_face(report.without_face),
        ],
    )


def _years(estimate: Estimate) -> str:
    interval = "too few for an interval" if isnan(estimate.low) else f"{estimate.low:.1f}, {estimate.high:.1f}"
    return f"{estimate.value:.1f} [{interval}]"


def _percent(share: float) -> str:
    return "-" if isnan(share) else f"{share:.1%}"
