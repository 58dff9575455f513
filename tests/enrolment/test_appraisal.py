"""What the models are shown of a picture, and what becomes of their answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamapp.enrolment.appraisal import Appraisal, FaceReader, sample_of
from streamapp.errors import ModelInvalid, ModelMissing, Overloaded
from streamapp.findings import Embedding, Liveness
from streamapp.gallery.gate import COMPARABLE, GateRules, RefusalCode
from streamapp.pipeline.shots import FaceShot
from streamapp.results import DropReason, LivenessState
from streamapp.scheduler.api import Dropped, Failed, Priority
from tests.enrolment.scripted_people import FACE, NOW, looks, picture, script, scripted_models
from tests.fakes import Answer, ScriptedScheduler
from tests.pipeline.lineups import ADAFACE, ANTISPOOF, DEEPFAKE, GENDER_AGE, RECOGNISERS, REFINEMENT, YOLO, lineup

RULES = GateRules()
LIVE_RULES = GateRules(must_be_live=True)


async def appraised(folder: Path, said: dict[str, Answer], **kind: bool) -> Appraisal:
    async with scripted_models(folder, ScriptedScheduler(said)) as models:
        return await FaceReader(models).photo(picture(3, **kind), RULES, client="test")


def codes(appraisal: Appraisal) -> list[RefusalCode]:
    return [refusal.code for refusal in appraisal.refusals]


async def test_a_good_picture_makes_a_sample_of_every_recogniser(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(script())
    async with scripted_models(tmp_path, scheduler) as models:
        found = await FaceReader(models).photo(picture(3), RULES, client="10.0.0.7")
    assert found.good is not None
    assert (found.good.box, found.good.liveness) == (FACE, LivenessState.LIVE)
    sample = sample_of(found.good, NOW)
    assert {embedding.model for embedding in sample.embeddings} == set(RECOGNISERS)
    assert all(e.similarity(looks(e.model, 30)) == pytest.approx(1) for e in sample.embeddings)
    assert sample.quality == found.good.quality > 0.5
    assert {(job.owner, job.priority) for job in scheduler.jobs} == {("10.0.0.7", Priority.IMAGE)}
    assert not {GENDER_AGE, DEEPFAKE} & set(scheduler.asked), "what is not needed is not asked"


async def test_of_several_faces_only_the_one_that_is_meant_is_shown_to_recognisers(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(script(FACE, (500.0, 100.0, 560.0, 170.0)))
    async with scripted_models(tmp_path, scheduler) as models:
        found = await FaceReader(models).photo(picture(3), RULES, client="test")
    assert found.good is not None
    assert [len(job.items) for job in scheduler.jobs if job.operation.name == ADAFACE] == [1]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (script((500.0, 100.0, 700.0, 340.0), FACE), [RefusalCode.SEVERAL_FACES]),
        ({**script(), YOLO: script((0.0, 0.0, 0.0, 0.0))[YOLO]}, [RefusalCode.NO_FACE]),
        (script((200.0, 120.0, 270.0, 204.0)), [RefusalCode.TOO_SMALL]),
        (script((-80.0, 120.0, 120.0, 360.0)), [RefusalCode.CUT_OFF]),
        (script(live=0.1), [RefusalCode.SPOOF]),
        ({**script(), ADAFACE: lambda _: Embedding.of(ADAFACE, np.full(512, np.nan, np.float32))},
         [RefusalCode.UNUSABLE_EMBEDDING]),
        ({**script(), ADAFACE: lambda _: Embedding.of(ADAFACE, np.zeros(512, np.float32))},
         [RefusalCode.UNUSABLE_EMBEDDING]),
    ],
)  # fmt: skip
async def test_faults_of_the_picture_are_refusals(
    tmp_path: Path, said: dict[str, Answer], expected: list[RefusalCode]
) -> None:
    found = await appraised(tmp_path, said)
    assert (codes(found), found.good) == (expected, None)


async def test_blur_is_measured_in_the_picture(tmp_path: Path) -> None:
    assert codes(await appraised(tmp_path, script(), blurred=True)) == [RefusalCode.BLURRED]


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(Failed(ModelInvalid("broken")), ModelInvalid), (Dropped(DropReason.NO_MEMORY, "full"), Overloaded)],
)
@pytest.mark.parametrize("name", [YOLO, REFINEMENT, ADAFACE, ANTISPOOF])
async def test_a_model_that_gave_no_answer_is_an_error_and_no_fault_of_the_picture(
    tmp_path: Path, name: str, outcome: Dropped | Failed, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"broken|full"):
        await appraised(tmp_path, {**script(), name: outcome})


async def test_an_antispoof_answer_that_is_not_a_number_decides_nothing(tmp_path: Path) -> None:
    found = await appraised(tmp_path, {**script(), ANTISPOOF: lambda _: Liveness(math.nan, ())})
    assert found.view is not None
    assert found.view.liveness is LivenessState.UNDECIDED


async def test_without_antispoof_a_photo_passes_and_a_live_face_does_not(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        models.lineup = replace(models.lineup, antispoofer=None)
        reader = FaceReader(models)
        photo = await reader.photo(picture(3), RULES, client="test")
        (taken,) = await reader.shots([shot(1)], LIVE_RULES, owner="test", known=None)
    assert photo.good is not None
    assert photo.good.liveness is None
    assert codes(taken) == [RefusalCode.NOT_LIVE]


async def test_no_recogniser_is_a_missing_model_with_the_command(tmp_path: Path) -> None:
    detectors = ("blazeface-short-range", "yolov10n-face", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")
    async with scripted_models(tmp_path) as models:
        (tmp_path / "few").mkdir()
        models.lineup = lineup(tmp_path / "few", *detectors, ANTISPOOF)
        models.look_again = lambda: None  # type: ignore[method-assign]  # nothing was pulled meanwhile
        with pytest.raises(ModelMissing, match="streamapp models pull"):
            await FaceReader(models).photo(picture(3), RULES, client="test")


async def test_every_face_is_judged_where_all_are_asked_for(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(script(FACE, (500.0, 100.0, 520.0, 124.0)))
    async with scripted_models(tmp_path, scheduler) as models:
        large, tiny = await FaceReader(models).faces(picture(3), COMPARABLE, client="test")
    assert large.good is not None
    assert RefusalCode.TOO_SMALL in codes(tiny)


# -- live tracks -------------------------------------------------------------------------------------------------------


def shot(frame: int) -> FaceShot:
    return FaceShot(7, frame, frame / 30, picture(3, take=frame), FACE, 0.9, 0.8, 0.9)


async def live(folder: Path, *scores: float, known: LivenessState | None = None) -> list[Appraisal]:
    waiting = list(scores)
    said = {**script(), ANTISPOOF: lambda _: Liveness(waiting.pop(0), ())}
    async with scripted_models(folder, ScriptedScheduler(said)) as models:
        shots = [shot(frame) for frame in range(len(scores))]
        return await FaceReader(models).shots(shots, LIVE_RULES, owner="test", known=known)


async def test_a_live_face_passes_by_all_its_shots_together(tmp_path: Path) -> None:
    found = await live(tmp_path, 0.95, 0.6, 0.95)
    assert all(appraisal.good is not None for appraisal in found)
    assert [appraisal.view.live for appraisal in found if appraisal.view] == [0.95, 0.6, 0.95]


async def test_what_is_not_surely_live_is_refused(tmp_path: Path) -> None:
    assert {code for one in await live(tmp_path, 0.6, 0.5) for code in codes(one)} == {RefusalCode.NOT_LIVE}


async def test_a_good_beginning_does_not_carry_what_follows(tmp_path: Path) -> None:
    assert all(appraisal.refusals for appraisal in await live(tmp_path, 0.9, 0.6, 0.6, 0.4))


async def test_one_good_moment_does_not_make_a_print_live(tmp_path: Path) -> None:
    assert all(appraisal.refusals for appraisal in await live(tmp_path, 0.05, 0.95, 0.1))


async def test_a_track_known_as_a_spoof_stays_one(tmp_path: Path) -> None:
    found = await live(tmp_path, 0.95, 0.95, known=LivenessState.SPOOF)
    assert {code for appraisal in found for code in codes(appraisal)} == {RefusalCode.SPOOF}
