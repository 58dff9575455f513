"""A server whose models know made-up people, and a gallery of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import httpx

from tests.enrolment.scripted_people import FACE, picture, script, use_script
from tests.fakes import ScriptedScheduler
from tests.server.conftest import Bench, StartBench
from tests.server.picture_bytes import saved

CONSENT = {"consent_by": "Ada, in writing", "consent_text": "faces-2026-01", "consent_until": "2090-12-31"}


@cache
def png(person: int, *, unlike: int = 0, blurred: bool = False) -> bytes:
    return saved(picture(person, unlike=unlike, blurred=blurred), "PNG", compress_level=1)


@asynccontextmanager
async def gallery_bench(
    start_bench: StartBench, folder: Path, scheduler: ScriptedScheduler | None = None, **settings: object
) -> AsyncIterator[Bench]:
    async with start_bench(**{"face": FACE, **settings}) as bench:
        models = bench.runtime.models
        gallery = await use_script(
            models, folder, scheduler or ScriptedScheduler(script()), bench.runtime.settings.gallery
        )
        gallery.watch_erasures(bench.runtime.forget)
        yield bench
        await gallery.close()


async def post(bench: Bench, path: str, *pictures: bytes, fields: Mapping[str, str] | None = None) -> httpx.Response:
    files = [("image", ("a.png", data, "image/png")) for data in pictures]
    return await bench.http.post(f"/gallery/{path}", data=dict(fields or {}), files=files)


async def enroll(bench: Bench, *pictures: bytes, name: str = "Ada", **fields: str) -> httpx.Response:
    return await post(bench, "people", *pictures, fields={"name": name, **CONSENT, **fields})


async def enrolled(bench: Bench, person: int, name: str) -> str:
    """The id of somebody who was enrolled."""
    response = await enroll(bench, png(person), name=name)
    assert response.status_code == 201, response.text
    found: str = response.json()["person"]["id"]
    return found
