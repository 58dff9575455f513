"""What nobody should send to the gallery, and a gallery or models that are not as they should be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest

from streamapp.errors import GalleryUnusable, ModelInvalid
from streamapp.findings import Embedding, Liveness
from streamapp.identification import Identification
from streamapp.scheduler.api import Failed
from streamapp.sections import ServerSettings
from streamapp.server.app import MAX_JSON_BYTES
from streamapp.server.routes.gallery import MAX_PICTURES
from tests.enrolment.scripted_people import script
from tests.fakes import ScriptedScheduler
from tests.pipeline.lineups import ADAFACE, ANTISPOOF, YOLO
from tests.server.conftest import Bench, StartBench
from tests.server.picture_bytes import png_of
from tests.server.routes.test_webrtc import problem
from tests.server.scripted_gallery import CONSENT, enroll, enrolled, gallery_bench, png, post
from tests.waiting import until

PERSON = {"name": "Ada", **CONSENT}
TRACK = {**PERSON, "stream": "door", "track": 1}


async def nobody_is_enrolled(bench: Bench) -> bool:
    total: int = (await bench.http.get("/gallery/people")).json()["total"]
    return total == 0


# -- who, and their consent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"consent_by": None}, "request_invalid"),
        ({"consent_text": None}, "request_invalid"),
        ({"consent_until": None}, "request_invalid"),
        ({"name": None}, "request_invalid"),
        ({"consent_by": "  "}, "request_invalid"),
        ({"consent_until": "2020-01-01"}, "enrolment_invalid"),
        ({"consent_until": "for ever"}, "enrolment_invalid"),
        ({"consent_until": "2090-01-01T00:00:00"}, "enrolment_invalid"),
        ({"consent_at": "2089-01-01"}, "enrolment_invalid"),
        ({"name": ""}, "request_invalid"),
        ({"name": "x" * 900}, "request_invalid"),
        ({"name": "Ada\x1b[31m"}, "request_invalid"),
        ({"name": "Ada\nLovelace"}, "request_invalid"),
        ({"name": "Ada\x00"}, "request_invalid"),
        ({"allow_spoof": "perhaps"}, "request_invalid"),
        ({"admin": "true"}, "request_invalid"),
    ],
)
async def test_what_is_asked_for_is_checked_before_any_model_is_asked(
    start_bench: StartBench, tmp_path: Path, changes: dict[str, str | None], code: str
) -> None:
    scheduler = ScriptedScheduler(script())
    async with gallery_bench(start_bench, tmp_path, scheduler) as bench:
        fields = {name: value for name, value in {**PERSON, **changes}.items() if value is not None}
        of_form = await post(bench, "people", png(1), fields=fields)
        of_json = await bench.http.post("/gallery/people", json={"stream": "door", "track": 1, **fields})
        for response in (of_form, of_json):
            assert (response.status_code, problem(response)) == (422, code), response.text
        assert not scheduler.jobs
        assert await nobody_is_enrolled(bench)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "Robert'); DROP TABLE people;--",
        "../../etc/passwd",
        "{{7*7}}",
        "张伟 🙂",
        "\u202eada",
    ],
)
async def test_a_name_is_a_name_whatever_it_looks_like(start_bench: StartBench, tmp_path: Path, name: str) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, name)
        shown = await bench.http.get(f"/gallery/people/{person}")
        assert shown.headers["content-type"] == "application/json"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.json()["person"]["name"] == name
        assert (await bench.http.get(f"/gallery/people/{person}/export")).json()["name"] == name
        (face,) = (await post(bench, "identify", png(1))).json()["faces"]
        assert face["name"] == name


async def test_a_name_of_ten_thousand_characters(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        for response in (
            await bench.http.post("/gallery/people", json={**TRACK, "name": "x" * 10_000}),
            await enroll(bench, png(1), name="x" * 10_000),
            await bench.http.patch(f"/gallery/people/{await enrolled(bench, 1, 'Ada')}", json={"name": "x" * 10_000}),
        ):
            assert response.status_code in (400, 422), response.text
            assert problem(response) in ("bad_request", "request_invalid")
            assert len(response.text) < 1000, "it is not sent back"


@pytest.mark.parametrize("path", ["not-an-id", "..%2f..%2fetc%2fpasswd", "0", "%00", "1%27%20OR%201=1", "x" * 5000])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_ids_that_are_none(start_bench: StartBench, tmp_path: Path, path: str, method: str) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        body = {"json": {"name": "Eve"}} if method == "PATCH" else {}
        response = await bench.http.request(method, f"/gallery/people/{path}", **body)  # type: ignore[arg-type]
        assert response.status_code in (404, 405, 422), response.text
        assert problem(response)


# -- the body ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pictures", "status", "code"),
    [
        ([], 400, "bad_request"),
        ([b""], 422, "picture_invalid"),
        ([b"<svg/>"], 415, "picture_unsupported"),
        ([b"\x89PNG\r\n\x1a\n garbage"], 422, "picture_invalid"),
        ([png_of(20_000, 20_000)], 413, "picture_too_large"),
        ([b"x"] * (MAX_PICTURES + 1), 400, "bad_request"),
    ],
)
async def test_bad_pictures(
    start_bench: StartBench, tmp_path: Path, pictures: list[bytes], status: int, code: str
) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        response = await enroll(bench, *pictures) if pictures else await bench.http.post(
            "/gallery/people", content=b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"}
        )  # fmt: skip
        assert (response.status_code, problem(response)) in ((status, code), (422, "request_invalid")), response.text
        assert await nobody_is_enrolled(bench)
        assert (await enroll(bench, png(1))).status_code == 201, "the next one is served"


async def test_one_broken_file_among_good_ones_is_named(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        response = await enroll(bench, png(1), b"<svg/>")
        assert (response.status_code, problem(response)) == (415, "picture_unsupported")
        assert "picture 2" in response.json()["detail"]
        assert await nobody_is_enrolled(bench)


@pytest.mark.parametrize("path", ["people", "people/6a1c1f0e-6f0e-4a53-9a39-0f6f7a1f8a11", "identify"])
async def test_json_that_is_too_long_broken_or_none(start_bench: StartBench, tmp_path: Path, path: str) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        method = "PATCH" if path.startswith("people/") else "POST"
        url = f"/gallery/{path}"
        long = await bench.http.request(method, url, json={"name": "x" * MAX_JSON_BYTES})
        assert (long.status_code, problem(long)) == (413, "body_too_large")
        for content, kind in ((b"{", "application/json"), (b"[" * 8000, "application/json"), (b"a=1", "text/plain")):
            response = await bench.http.request(method, url, content=content, headers={"Content-Type": kind})
            assert response.status_code in (400, 415, 422), response.text
            assert problem(response)


async def test_a_form_may_be_as_long_as_pictures_are(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path, server=ServerSettings(max_body_bytes=2_000_000)) as bench:
        assert MAX_JSON_BYTES < len(png(1)) < 2_000_000
        assert (await enroll(bench, png(1))).status_code == 201
        response = await enroll(bench, png(2), png(2), png(2))
        assert (response.status_code, problem(response)) == (413, "body_too_large")


async def test_pages_of_other_origins_may_not(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        evil = {"Origin": "http://evil.example"}
        for response in (
            await bench.http.post("/gallery/identify", files={"image": png(1)}, headers=evil),
            await bench.http.delete(f"/gallery/people/{person}", headers=evil),
            await bench.http.get("/gallery/people", headers={"Sec-Fetch-Site": "cross-site"}),
        ):
            assert (response.status_code, problem(response)) == (403, "origin_not_allowed")
        assert not await nobody_is_enrolled(bench)


async def test_there_are_so_many_places_and_no_more(start_bench: StartBench, tmp_path: Path) -> None:
    scheduler, hold = ScriptedScheduler(script()), asyncio.Event()
    async with gallery_bench(start_bench, tmp_path, scheduler, server=ServerSettings(max_image_requests=1)) as bench:
        scheduler.gate = hold
        first = asyncio.create_task(enroll(bench, png(1)))
        await until(lambda: bool(scheduler.jobs))
        for path in ("identify", "verify"):
            response = await post(bench, path, png(1))
            assert (response.status_code, problem(response)) == (503, "overloaded")
            assert response.headers["retry-after"]
        hold.set()
        assert (await first).status_code == 201


# -- models and gallery ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf])
async def test_a_recogniser_gone_mad_enrolls_and_names_nobody(
    start_bench: StartBench, tmp_path: Path, value: float
) -> None:
    scheduler = ScriptedScheduler(script())
    async with gallery_bench(start_bench, tmp_path, scheduler) as bench:
        await enrolled(bench, 1, "Ada")
        scheduler.script[ADAFACE] = lambda _: Embedding.of(ADAFACE, np.full(512, value, np.float32))
        response = await enroll(bench, png(2))
        assert problem(response) == "pictures_refused"
        assert response.json()["pictures"][0]["refusals"][0]["code"] == "unusable_embedding"
        (face,) = (await post(bench, "identify", png(1))).json()["faces"]
        assert (face["state"], face["name"], face["refusals"][0]["code"]) == ("undecided", None, "unusable_embedding")


async def test_an_antispoof_model_gone_mad_is_no_number_in_json(start_bench: StartBench, tmp_path: Path) -> None:
    said = {**script(), ANTISPOOF: lambda _: Liveness(np.nan, ())}
    async with gallery_bench(start_bench, tmp_path, ScriptedScheduler(said)) as bench:
        response = await enroll(bench, png(1))
        assert response.json()["pictures"][0]["liveness"] == {"state": "undecided", "score": None}


@pytest.mark.parametrize("name", [YOLO, ADAFACE, ANTISPOOF])
async def test_a_model_that_fails_is_503_and_nobody_is_enrolled(
    start_bench: StartBench, tmp_path: Path, name: str
) -> None:
    said = {**script(), name: Failed(ModelInvalid("its file is not the one the manifest names"))}
    async with gallery_bench(start_bench, tmp_path, ScriptedScheduler(said)) as bench:
        for response in (await enroll(bench, png(1)), await post(bench, "identify", png(1))):
            assert (response.status_code, problem(response)) == (503, "model_invalid")
        assert await nobody_is_enrolled(bench)


async def everything(bench: Bench) -> dict[str, httpx.Response]:
    person = "/gallery/people/6a1c1f0e-6f0e-4a53-9a39-0f6f7a1f8a11"
    return {
        "enroll": await enroll(bench, png(1)),
        "enroll a track": await bench.http.post("/gallery/people", json=TRACK),
        "list": await bench.http.get("/gallery/people"),
        "show": await bench.http.get(person),
        "rename": await bench.http.patch(person, json={"name": "Eve"}),
        "erase": await bench.http.delete(person),
        "add": await bench.http.post(f"{person}/samples", json={"stream": "door", "track": 1}),
        "export": await bench.http.get(f"{person}/export"),
        "identify": await post(bench, "identify", png(1)),
    }


async def test_without_recognisers_the_command_that_helps_is_told(start_bench: StartBench) -> None:
    """And what compares no faces goes on."""
    async with start_bench() as bench:
        answers = await everything(bench)
        assert answers.pop("list").json() == {"people": [], "total": 0, "next_offset": None}
        for what in ("show", "rename", "erase", "export"):
            assert problem(answers.pop(what)) == "not_found", what
        for what, response in answers.items():
            assert (response.status_code, problem(response)) == (503, "model_missing"), what
            assert "streamapp models pull" in response.json()["detail"], what
        verify = await post(bench, "verify", png(1), png(1))
        assert (verify.status_code, problem(verify)) == (503, "model_missing")


async def test_a_gallery_that_cannot_be_used_is_503_and_all_else_works(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        gallery = bench.runtime.models.identification
        bench.runtime.models.identification = Identification(None, GalleryUnusable("k.key is not the key of g.db"))
        for what, response in (await everything(bench)).items():
            assert (response.status_code, problem(response)) == (503, "gallery_unusable"), what
            assert "k.key is not the key" in response.json()["detail"]
        assert (await bench.http.get("/health")).status_code == 200
        detect = await bench.http.post("/detect/standard", files={"image": png(1)})
        assert (detect.status_code, len(detect.json()["faces"])) == (200, 1)
        bench.runtime.models.identification = gallery
