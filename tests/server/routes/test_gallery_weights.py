"""The gallery over HTTP with the weights and pictures there are: who is taken, who is refused, who is recognised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from streamapp.frame import Image
from streamapp.sections import ModelSettings
from tests.server.conftest import Bench, StartBench
from tests.server.picture_bytes import saved
from tests.server.routes.test_webrtc import problem
from tests.server.scripted_gallery import enroll, post
from tests.sessions import largest_face, picture
from tests.shared_data import shared_file
from tests.weights import models_folder

pytestmark = [pytest.mark.weights, pytest.mark.media]
FIRST, SECOND = ("img1", "img2", "img4", "img5", "img6", "img7"), ("img3", "img12")
"""Of one woman, and of another."""


def photo(name: str) -> bytes:
    return shared_file(f"media/{name}.jpg" if "/" in name else f"media/pairs/deepface/{name}.jpg").read_bytes()


def jpeg(rgb: Image) -> bytes:
    return saved(np.ascontiguousarray(rgb), "JPEG", quality=95)


@asynccontextmanager
async def real_bench(start_bench: StartBench, folder: Path) -> AsyncIterator[Bench]:
    folder = folder / "weights"
    folder.mkdir()
    async with start_bench(models=ModelSettings(dir=models_folder(folder))) as bench:
        if bench.runtime.models.identification.error is not None:
            pytest.skip(f"no calibrated recogniser: {bench.runtime.models.identification.error}")
        yield bench


async def codes(response: httpx.Response) -> list[str]:
    assert problem(response) == "pictures_refused", response.text
    return [one["code"] for report in response.json()["pictures"] for one in report["refusals"]]


async def test_two_women_are_told_apart_and_strangers_stay_strangers(start_bench: StartBench, tmp_path: Path) -> None:
    async with real_bench(start_bench, tmp_path) as bench:
        first = (await enroll(bench, photo("img1"), photo("img2"), name="first")).json()["person"]["id"]
        second = (await enroll(bench, photo("img3"), name="second")).json()["person"]["id"]
        for name, person in (*((name, first) for name in FIRST[2:]), ("img12", second)):
            (face,) = (await post(bench, "identify", photo(name))).json()["faces"]
            assert (face["state"], face["person_id"]) == ("identified", person), name
        for name in ("portraits/uniface_src_man2", "img13", "img20"):
            for face in (await post(bench, "identify", photo(name))).json()["faces"]:
                assert (face["state"], face["person_id"]) == ("unknown", None), name
        again = await enroll(bench, photo("img4"), name="again")
        assert (problem(again), again.json()["similar"][0]["person_id"]) == ("already_enrolled", first)
        mixed = await enroll(bench, photo("img13"), photo("img20"), name="mixed")
        assert problem(mixed) == "not_the_same_person"
        wrong = await post(bench, f"people/{first}/samples", photo("img12"))
        assert problem(wrong) == "not_the_same_person"
        assert (await post(bench, f"people/{first}/samples", photo("img6"))).status_code == 201


async def test_a_couple_is_named_one_by_one(start_bench: StartBench, tmp_path: Path) -> None:
    async with real_bench(start_bench, tmp_path) as bench:
        await enroll(bench, photo("img1"), name="first")
        faces = (await post(bench, "identify", photo("couple"))).json()["faces"]
        assert sorted((face["state"], face["name"]) for face in faces) == [("identified", "first"), ("unknown", None)]
        assert await codes(await enroll(bench, photo("couple"), name="both")) == ["several_faces"]


async def test_two_pictures_are_verified(start_bench: StartBench, tmp_path: Path) -> None:
    async with real_bench(start_bench, tmp_path) as bench:
        same = (await post(bench, "verify", photo("img1"), photo("img5"))).json()
        other = (await post(bench, "verify", photo("img1"), photo("img3"))).json()
    assert (same["same"], other["same"]) == (True, False)
    assert same["similarity"] > same["threshold"] + 1 > other["similarity"] + 1


async def test_a_photographed_print_is_refused_and_a_selfie_is_not(start_bench: StartBench, tmp_path: Path) -> None:
    async with real_bench(start_bench, tmp_path) as bench:
        assert "spoof" in await codes(await enroll(bench, photo("spoof/image_F1"), name="print"))
        selfie = await enroll(bench, photo("spoof/image_T1"), name="selfie")
        assert selfie.status_code == 201, selfie.text
        assert selfie.json()["pictures"][0]["liveness"]["state"] == "live"


async def test_small_blurred_cut_off_and_turned_faces_and_none_are_refused(
    start_bench: StartBench, tmp_path: Path
) -> None:
    rgb = picture("pairs/deepface/img1.jpg")
    x1, x2 = (float(side) for side in largest_face(rgb).box[[0, 2]])
    width = x2 - x1
    tiny = np.asarray(cv2.resize(rgb, None, fx=60 / width, fy=60 / width, interpolation=cv2.INTER_AREA), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(rgb, (0, 0), width / 20), np.uint8)
    half = rgb[:, : int(x1 + 0.7 * width)]
    async with real_bench(start_bench, tmp_path) as bench:
        for wanted, data in (
            ("face_too_small", jpeg(tiny)),
            ("face_blurred", jpeg(blurred)),
            ("face_cut_off", jpeg(half)),
            ("face_turned_away", photo("portraits/uniface_image5")),
            ("no_face", jpeg(np.full((400, 400, 3), 90, np.uint8))),
        ):
            found = await codes(await enroll(bench, data, name="x", allow_spoof="true"))
            assert wanted in found, (wanted, found)
        assert (await bench.http.get("/gallery/people")).json()["total"] == 0


async def test_nearly_all_ordinary_photos_pass(start_bench: StartBench, tmp_path: Path) -> None:
    """The gate turns away poor pictures, not people."""
    names = [f"img{number}" for number in range(1, 16)]
    async with real_bench(start_bench, tmp_path) as bench:
        taken = 0
        for name in names:
            response = await enroll(bench, photo(name), name=name, allow_duplicate="true")
            taken += response.status_code == 201
    assert taken >= len(names) - 1


async def test_a_damaged_gallery_is_told_and_left_alone_and_the_models_go_on(
    start_bench: StartBench, tmp_path: Path, kept_elsewhere: Path
) -> None:
    file = kept_elsewhere / "gallery.db"
    file.write_bytes(b"not a database" * 1000)
    (tmp_path / "weights").mkdir()
    async with start_bench(models=ModelSettings(dir=models_folder(tmp_path / "weights"))) as bench:
        for response in (
            await bench.http.get("/gallery/people"),
            await enroll(bench, photo("img1")),
            await post(bench, "identify", photo("img1")),
        ):
            assert (response.status_code, problem(response)) == (503, "gallery_unusable")
        verified = await post(bench, "verify", photo("img1"), photo("img2"))
        assert (verified.status_code, verified.json()["same"]) == (200, True)
    assert file.read_bytes() == b"not a database" * 1000
