"""What a crop says alone is what the app would say had it seen nothing else; the app itself is not disturbed."""

from __future__ import annotations

from uuid import UUID

import pytest

from streamapp.evaluation.crop_log import AGE_BAND, GENDER, LIVENESS, CropLog, crop_alone, labels_of
from streamapp.findings import GenderAge, Liveness
from streamapp.gallery.fusion import FusedScore
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.search import Match, SearchProblem, SearchResult
from streamapp.pipeline.aggregate import Findings, Moment
from streamapp.pipeline.answers import Answer, Found
from streamapp.pipeline.identities import Look
from streamapp.results import Answered, Step

ADA, GRACE = UUID(int=1), UUID(int=2)
NAMES = {ADA: "Ada", GRACE: "Grace"}
RULES = VoteRules()
PEOPLE = 10


def search(*levels: tuple[UUID, float], problem: SearchProblem | None = None) -> SearchResult:
    matches = tuple(Match(person, FusedScore(level, (), ())) for person, level in levels)
    return SearchResult(matches, PEOPLE, 1, problem=problem)


def findings(live: float, male: float = 0.9, age_years: float = 34.0) -> Findings:
    return Findings(liveness=("net", Liveness(live, ())), gender_age=("net", GenderAge(male, age_years)))


def answer(frame: int, live: float, result: SearchResult | None) -> Answer:
    at = Moment(frame - 1, frame / 10, "new_track", 0.8)
    look = None if result is None else Look(at.frame, at.pts_s, at.quality, result)
    return Answer(Answered(frame, Step.ANALYSIS), (), (Found(7, findings(live), {}, at, look),))


def test_each_crop_is_told_alone_from_the_frame_of_its_answer_on() -> None:
    log = CropLog(RULES, NAMES.get)
    for frame, live in ((3, 0.9), (18, 0.1), (33, 0.9)):
        log.take_in(answer(frame, live, search((ADA, 9.0), (GRACE, 1.0))))
    assert [(crop.track, crop.frame, crop.labels[LIVENESS]) for crop in log.crops] == [
        (7, 3, "live"),
        (7, 18, "spoof"),
        (7, 33, "live"),
    ]
    shown = labels_of(log.analyses(7, 3.3))
    assert (shown[LIVENESS], shown[GENDER], shown[AGE_BAND]) == ("live", "male", "30")
    assert log.analyses(7, 3.3)["liveness"].samples == 3, "the app has them all"


def test_the_nearest_comes_with_the_threshold_of_the_app() -> None:
    crop = crop_alone(7, 3, findings(0.9), search((ADA, 4.5), (GRACE, 4.4)), Moment(2, 0.2, "x"), NAMES.get, RULES)
    assert crop.was_compared
    assert crop.nearest is not None
    assert (crop.nearest.name, crop.nearest.level) == ("Ada", 4.5)
    assert crop.nearest.threshold == pytest.approx(RULES.thresholds(PEOPLE).accept)


@pytest.mark.parametrize(
    ("result", "was_compared"),
    [(None, False), (search(), True), (search((ADA, 9.0), problem=SearchProblem.UNUSABLE), True)],
)
def test_what_cannot_be_compared_is_near_nobody(result: SearchResult | None, was_compared: bool) -> None:
    crop = crop_alone(7, 3, findings(0.9), result, Moment(2, 0.2, "x"), NAMES.get, RULES)
    assert (crop.nearest, crop.was_compared) == (None, was_compared)
