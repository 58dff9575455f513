"""People over HTTP: from consent to erasure."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from streamapp.errors import ModelMissing
from streamapp.faces import Mode
from streamapp.results import IdentityState
from tests.enrolment.scripted_people import FACE, PortraitSource, script
from tests.fakes import ScriptedScheduler
from tests.pipeline.lineups import RECOGNISERS
from tests.server.conftest import Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.server.scripted_gallery import CONSENT, enroll, enrolled, gallery_bench, png, post
from tests.waiting import until


async def test_the_life_of_a_person_in_the_gallery(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        response = await enroll(bench, png(1), png(1, unlike=1), png(1, blurred=True))
        assert response.status_code == 201, response.text
        body = response.json()
        path = f"/gallery/people/{body['person']['id']}"
        assert response.headers["location"] == path
        assert [one["accepted"] for one in body["pictures"]] == [True, True, False]
        assert [one["code"] for one in body["pictures"][2]["refusals"]] == ["face_blurred"]
        assert body["pictures"][0]["liveness"] == {"state": "live", "score": 0.95}
        assert body["similar"] == []

        listed = (await bench.http.get("/gallery/people")).json()
        assert (listed["total"], listed["next_offset"]) == (1, None)
        assert listed["people"] == [body["person"]]
        consent = body["person"]["consent"]
        assert (consent["given_by"], consent["expires_at"]) == ("Ada, in writing", "2090-12-31T23:59:59Z")

        shown = (await bench.http.get(path)).json()
        assert [sorted(sample["models"]) for sample in shown["samples"]] == [sorted(RECOGNISERS)] * 2
        assert shown["rejections"] == 0

        renamed = await bench.http.patch(path, json={"name": "Ada King"})
        assert (renamed.status_code, renamed.json()["name"]) == (200, "Ada King")

        erased = await bench.http.delete(path)
        assert erased.json() == {"person_id": body["person"]["id"], "scrubbed": True}
        assert problem(await bench.http.get(path)) == "not_found"
        assert (await bench.http.get("/gallery/people")).json() == {"people": [], "total": 0, "next_offset": None}
        entries = await bench.runtime.models.identification.gallery.store.audit()
        assert [(entry.action.value, entry.actor) for entry in entries] == [
            ("gallery_created", "gallery"),
            ("enrolled", "api"),
            ("renamed", "api"),
            ("erased", "api"),
        ]


async def test_without_a_recogniser_people_are_still_shown_exported_and_erased(
    start_bench: StartBench, tmp_path: Path
) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        bench.runtime.models.identification.error = ModelMissing("no recogniser is installed")
        path = f"/gallery/people/{person}"
        assert [one["id"] for one in (await bench.http.get("/gallery/people")).json()["people"]] == [str(person)]
        assert (await bench.http.get(f"{path}/export")).status_code == 200
        assert (await bench.http.patch(path, json={"name": "Ada King"})).status_code == 200
        for refused in (await enroll(bench, png(2)), await post(bench, "identify", png(1))):
            assert (refused.status_code, problem(refused)) == (503, "model_missing")
        assert (await bench.http.delete(path)).json() == {"person_id": str(person), "scrubbed": True}
        assert (await bench.http.get("/gallery/people")).json()["total"] == 0


async def test_no_answer_is_kept_by_anybody_or_has_an_embedding(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        answers = [
            await enroll(bench, png(1)),
            await enroll(bench, png(2, blurred=True)),
            await bench.http.get("/gallery/people"),
            await bench.http.get(f"/gallery/people/{person}"),
            await bench.http.get(f"/gallery/people/{person}/export"),
            await post(bench, "identify", png(1)),
        ]
        for answer in answers:
            assert answer.headers["cache-control"] == "no-store"
            assert "vector" not in answer.text


async def test_an_export_is_a_file_without_the_name_in_its_name(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, 'Ada "; filename=x')
        response = await bench.http.get(f"/gallery/people/{person}/export", params={"embeddings": "true"})
        assert response.headers["content-disposition"] == f'attachment; filename="person-{person}.json"'
        exported = response.json()
        assert exported["name"] == 'Ada "; filename=x'
        assert len(exported["samples"][0]["embeddings"][0]["vector"]) == 512
        assert [entry["action"] for entry in exported["audit"]] == ["enrolled", "exported"]
        assert problem(await bench.http.get(f"/gallery/people/{uuid4()}/export")) == "not_found"


async def test_people_come_in_pages(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        for person in range(5):
            await enrolled(bench, person + 1, f"person {person}")
        names, offset = [], 0
        while offset is not None:
            page = (await bench.http.get("/gallery/people", params={"offset": offset, "limit": 2})).json()
            assert page["total"] == 5
            names += [person["name"] for person in page["people"]]
            offset = page["next_offset"]
        assert names == [f"person {person}" for person in range(5)]
        beyond = (await bench.http.get("/gallery/people", params={"offset": 99})).json()
        assert (beyond["people"], beyond["next_offset"]) == ([], None)
        for bad in ({"offset": -1}, {"limit": 0}, {"limit": 501}, {"offset": 2**40}):
            assert problem(await bench.http.get("/gallery/people", params=bad)) == "request_invalid"


async def test_who_is_there_already_is_a_conflict_that_names_whom(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        response = await enroll(bench, png(1, unlike=1), name="Eve")
        assert (response.status_code, problem(response)) == (409, "already_enrolled")
        assert [(one["person_id"], one["name"]) for one in response.json()["similar"]] == [(person, "Ada")]
        allowed = await enroll(bench, png(1, unlike=1), name="Eve", allow_duplicate="true")
        assert allowed.status_code == 201
        assert [one["person_id"] for one in allowed.json()["similar"]] == [person]


async def test_a_spoof_is_refused_unless_it_is_meant(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path, ScriptedScheduler(script(live=0.03))) as bench:
        response = await enroll(bench, png(1))
        assert (response.status_code, problem(response)) == (422, "pictures_refused")
        (report,) = response.json()["pictures"]
        assert [one["code"] for one in report["refusals"]] == ["spoof"]
        assert report["liveness"] == {"state": "spoof", "score": 0.03}
        assert "allow_spoof" in response.json()["detail"]
        assert (await enroll(bench, png(1), allow_spoof="true")).status_code == 201


async def test_further_pictures_of_somebody(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        added = await post(bench, f"people/{person}/samples", png(1, unlike=1))
        assert (added.status_code, added.json()["person"]["id"]) == (201, person)
        other = await post(bench, f"people/{person}/samples", png(2))
        assert (other.status_code, problem(other)) == (422, "not_the_same_person")
        assert len((await bench.http.get(f"/gallery/people/{person}")).json()["samples"]) == 2
        assert problem(await post(bench, f"people/{uuid4()}/samples", png(1))) == "not_found"


# -- one look ----------------------------------------------------------------------------------------------------------


async def test_a_picture_is_identified_by_one_look(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        await enrolled(bench, 2, "Grace")
        known = (await post(bench, "identify", png(1, unlike=1))).json()
        assert (known["looks"], known["people"]) == (1, 2)
        (face,) = known["faces"]
        assert (face["state"], face["person_id"], face["name"]) == ("identified", person, "Ada")
        assert face["similarity"] > known["thresholds"]["accept"]
        assert face["margin"] > known["thresholds"]["margin"]
        assert [score["model"] for score in face["scores"]] == sorted(RECOGNISERS)
        (stranger,) = (await post(bench, "identify", png(7))).json()["faces"]
        assert (stranger["state"], stranger["name"], stranger["because"]) == ("unknown", None, "nobody_alike")


async def test_two_pictures_are_verified_whatever_is_in_the_gallery(
    start_bench: StartBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        fusion = bench.runtime.models.identification.gallery.fusion
        monkeypatch.setattr("streamapp.enrolment.recognition.fusion_of", lambda *_: fusion)
        same = (await post(bench, "verify", png(1), png(1, unlike=1))).json()
        other = (await post(bench, "verify", png(1), png(2))).json()
        assert (same["same"], other["same"]) == (True, False)
        assert same["similarity"] > same["threshold"] > other["similarity"]
        assert len(same["scores"]) == len(RECOGNISERS)
        assert [report["accepted"] for report in same["pictures"]] == [True, True]
        one = await post(bench, "verify", png(1))
        assert (one.status_code, problem(one)) == (422, "request_invalid")


async def test_a_picture_without_one_face_verifies_nothing(start_bench: StartBench, tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(script(FACE, (20.0, 120.0, 190.0, 330.0)))
    async with gallery_bench(start_bench, tmp_path, scheduler) as bench:
        response = await post(bench, "verify", png(1), png(1))
        assert (response.status_code, problem(response)) == (422, "pictures_refused")
        codes = [one["code"] for report in response.json()["pictures"] for one in report["refusals"]]
        assert codes == ["several_faces", "several_faces"]
        assert len((await post(bench, "identify", png(1))).json()["faces"]) == 2


# -- live --------------------------------------------------------------------------------------------------------------


def name_on(bench: Bench, stream: str) -> str | None:
    latest = bench.runtime.stream(stream).latest
    found = latest.result.tracks[0].analyses.get("identity") if latest and latest.result.tracks else None
    return found.name if found and found.state is IdentityState.IDENTIFIED else None


async def test_a_live_track_is_enrolled_named_rejected_and_forgotten(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        bench.runtime.open_stream("hall", lambda numbering: PortraitSource(numbering, lambda _: 3), mode=Mode.FULL)
        session = bench.runtime.stream("hall")
        await until(lambda: session.latest is not None and bool(session.latest.result.tracks))
        wanted = {"name": "Ada", **CONSENT, "stream": "hall", "track": 1}
        response = await bench.http.post("/gallery/people", json=wanted)
        assert response.status_code == 201, response.text
        person = response.json()["person"]["id"]
        assert len(response.json()["pictures"]) >= 2
        assert session.escalator is not None
        session.escalator.ask()
        await until(lambda: name_on(bench, "hall") == "Ada")

        more = await bench.http.post(f"/gallery/people/{person}/samples", json={"stream": "hall", "track": 1})
        assert more.status_code == 201, more.text

        rejected = await bench.http.post(f"/gallery/people/{person}/reject", json={"stream": "hall", "track": 1})
        assert (rejected.status_code, rejected.json()["id"]) == (200, person)
        await until(lambda: name_on(bench, "hall") is None)
        assert (await bench.http.get(f"/gallery/people/{person}")).json()["rejections"] == 1

        await bench.http.delete(f"/gallery/people/{person}")
        why = await bench.http.get("/streams/hall/tracks/1/why")
        assert person not in json.dumps(why.json()["identity"])
        manifest = bench.runtime.models.registry.manifest
        assert set(why.json()["licences"]) >= {*RECOGNISERS}
        assert all(manifest.licence_of(model) == licence for model, licence in why.json()["licences"].items())


async def test_streams_and_tracks_that_are_not_there(start_bench: StartBench, tmp_path: Path) -> None:
    async with gallery_bench(start_bench, tmp_path) as bench:
        person = await enrolled(bench, 1, "Ada")
        bench.add_numbered("door")
        await until(lambda: bench.runtime.stream("door").latest is not None)
        for stream, track, code in (("nowhere", 1, "not_found"), ("door", 99, "not_found"), ("door", 1, "conflict")):
            await until(lambda: bool(bench.runtime.stream("door").latest.result.tracks))  # type: ignore[union-attr]
            wanted = {"name": "Eve", **CONSENT, "stream": stream, "track": track}
            assert problem(await bench.http.post("/gallery/people", json=wanted)) == code
            if code == "not_found":
                where = {"stream": stream, "track": track}
                assert problem(await bench.http.post(f"/gallery/people/{person}/reject", json=where)) == code
        missing = await bench.http.post(f"/gallery/people/{uuid4()}/reject", json={"stream": "door", "track": 1})
        assert problem(missing) == "not_found"
