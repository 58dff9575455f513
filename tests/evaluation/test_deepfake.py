"""Error rates of deepfake scores, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.deepfake import evaluate, is_fake
from streamapp.evaluation.pictures import LabelledPicture
from streamapp.findings import DeepfakeScore
from tests.evaluation.judges import BLACK, find_face, grey, judge

PLAIN = judge("plain", DeepfakeScore)
INVERTED = judge("inverted", lambda brightness: DeepfakeScore(1 - brightness))


def pictures(folder: Path, *labelled: tuple[str, int]) -> list[LabelledPicture]:
    return [
        LabelledPicture(grey(folder / f"{index}.png", brightness), label)
        for index, (label, brightness) in enumerate(labelled)
    ]


def test_errors_and_order_are_counted(tmp_path: Path) -> None:
    given = pictures(
        tmp_path, ("real", 10), ("real-2", 150), ("real", 90), ("fake", 100), ("df_1", 240), ("real", BLACK)
    )
    report = evaluate(given, [PLAIN, INVERTED], find_face, 0.5)
    plain, inverted = report.rows
    assert plain.auc.value == pytest.approx(5 / 6)  # one real picture scores above one fake
    assert np.isnan(plain.auc.low)
    assert (plain.missed.count, plain.missed.total) == (1, 2)
    assert (plain.false_alarms.count, plain.false_alarms.total) == (1, 3)
    assert inverted.auc.value == pytest.approx(1 / 6)
    assert report.without_face == ("5.png",)


def test_labels_say_real_or_fake(tmp_path: Path) -> None:
    assert [is_fake(label) for label in ("Fake", "df2", "deepfake", "real", "REAL_b")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(UsageError, match="'live' begins"):
        is_fake("live")
    with pytest.raises(UsageError, match="both real and fake"):
        evaluate(pictures(tmp_path, ("real", 9), ("fake", BLACK)), [PLAIN], find_face, 0.5)
