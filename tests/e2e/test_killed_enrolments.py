"""The server is killed while people are being enrolled: each is in the gallery wholly, or not at all."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import httpx
import pytest

from tests.server.scripted_gallery import CONSENT
from tests.server_process import ServerProcess
from tests.shared_data import shared_file
from tests.waiting import until_sync
from tests.weights import models_folder

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.media, pytest.mark.timeout(240)]
ROUNDS = 3
PHOTOS = ("img1", "img2")


def test_an_enrolment_is_whole_or_nothing_when_the_server_is_killed(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    server = ServerProcess(tmp_path, settings={"MODELS__DIR": str(models_folder(tmp_path / "weights"))})
    photos = [shared_file(f"media/pairs/deepface/{name}.jpg").read_bytes() for name in PHOTOS]
    delays = random.Random(5)
    told: set[str] = set()

    def enroll_for_ever() -> None:
        files = [("image", ("a.jpg", photo, "image/jpeg")) for photo in photos]
        fields = {"name": "Ada", **CONSENT, "allow_duplicate": "true"}
        try:
            while True:
                answer = httpx.post(f"{server.url}/gallery/people", files=files, data=fields, timeout=60)
                if answer.status_code != httpx.codes.CREATED:
                    pytest.skip(answer.text)
                told.add(answer.json()["person"]["id"])
        except httpx.HTTPError:  # killed
            pass

    for _ in range(ROUNDS):
        server.start()
        before = len(told)
        enrolling = threading.Thread(target=enroll_for_ever)
        enrolling.start()
        until_sync(lambda: len(told) > before or not enrolling.is_alive(), 60)  # noqa: B023 - waited for here
        threading.Event().wait(delays.uniform(0, 0.5))
        server.kill()
        enrolling.join()
    server.start()
    try:
        people = server.get("/gallery/people?limit=500")["people"]
        assert told <= {person["id"] for person in people}, "who was told that it is done is there"
        assert len(people) <= len(told) + ROUNDS
        for person in people:
            assert len(server.get(f"/gallery/people/{person['id']}")["samples"]) == len(PHOTOS)
    finally:
        server.stop()
