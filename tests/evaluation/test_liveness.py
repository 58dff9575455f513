"""Error rates of anti-spoofing, counted by hand."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.liveness import attack_kind, evaluate
from streamapp.evaluation.pictures import LabelledPicture
from streamapp.findings import Liveness
from tests.evaluation.judges import BLACK, find_face, grey, judge

STRICT = judge("strict", lambda brightness: Liveness(brightness * brightness, ()))
PLAIN = judge("plain", lambda brightness: Liveness(brightness, ()))


def pictures(folder: Path, *labelled: tuple[str, int]) -> list[LabelledPicture]:
    return [
        LabelledPicture(grey(folder / f"{index}.png", brightness), label)
        for index, (label, brightness) in enumerate(labelled)
    ]


def test_each_kind_of_attack_has_its_own_rate_and_the_worst_one_counts(tmp_path: Path) -> None:
    given = pictures(
        tmp_path,
        *(("live", 255), ("live", 160), ("live", 60), ("live", 240)),
        *(("attack-print", 10), ("attack-print", 20), ("attack-print", 200)),
        *(("attack-screen", 170), ("attack-screen", 10)),
    )
    report = evaluate(given, [PLAIN, STRICT], find_face, 0.5)
    plain, strict = report.rows
    assert {row.kind: (row.apcer.count, row.apcer.total) for row in plain.attacks} == {
        "print": (1, 3),
        "screen": (1, 2),
    }
    assert (plain.bpcer.count, plain.bpcer.total) == (1, 4)
    assert plain.acer == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert [row.apcer.count for row in strict.attacks] == [1, 0]
    assert (strict.bpcer.count, strict.bpcer.total) == (2, 4)
    assert strict.acer == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_a_score_at_the_threshold_is_live(tmp_path: Path) -> None:
    given = pictures(tmp_path, ("live", 51), ("attack", 51))
    (row,) = evaluate(given, [judge("m", lambda _: Liveness(0.2, ()))], find_face, 0.2).rows
    assert (row.bpcer.count, row.attacks[0].apcer.count, row.attacks[0].kind) == (0, 1, "attack")


def test_a_picture_without_a_face_is_no_answer(tmp_path: Path) -> None:
    report = evaluate(pictures(tmp_path, ("live", 255), ("attack-mask", BLACK)), [PLAIN], find_face, 0.5)
    assert report.without_face == ("1.png",)
    assert report.rows[0].attacks[0].apcer.total == 0
    assert isnan(report.rows[0].acer)


def test_labels_say_live_or_attack(tmp_path: Path) -> None:
    assert (attack_kind("live"), attack_kind("attack"), attack_kind("attack-a-b")) == (None, "attack", "a-b")
    with pytest.raises(UsageError, match="'spoof' is neither"):
        attack_kind("spoof")
    for label in ("live", "attack-print"):
        with pytest.raises(UsageError, match="both living people"):
            evaluate(pictures(tmp_path, (label, 9)), [PLAIN], find_face, 0.5)
