"""Uploads to the demo page are bounded and given out to nobody; what is made of them has a type of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streamapp.demo import library
from streamapp.demo.shelf import Kind
from streamapp.sections import DemoSettings, ServerSettings
from tests.demo.conftest import Bench, StartBench

RAW = {"Content-Type": "application/octet-stream"}
SMALL = DemoSettings(max_clip_bytes=200_000)


@pytest.fixture(autouse=True)
def gradio_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_installed", lambda: True)


def made(bench: Bench, kind: Kind, content: bytes) -> str:
    path = bench.demo.shelf.place(kind)
    path.write_bytes(content)
    return bench.demo.shelf.put(kind, path).token


async def test_an_upload_gets_a_token_and_cannot_be_fetched(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        answer = await bench.http.post("/demo/files/picture", content=b"<script>", headers=RAW)
        assert answer.status_code == 201
        token = answer.json()["token"]
        assert bench.demo.shelf.find(token, Kind.PICTURE).path.read_bytes() == b"<script>"
        assert (await bench.http.get(f"/demo/files/{token}")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "type_", "disposition"),
    [
        (Kind.PAINTED_PICTURE, "image/jpeg", "inline"),
        (Kind.PAINTED_CLIP, "video/mp4", "inline"),
        (Kind.RESULTS, "application/jsonl", "attachment"),
    ],
)
async def test_results_have_our_types_and_can_be_read_in_parts(
    start_bench: StartBench, kind: Kind, type_: str, disposition: str
) -> None:
    async with start_bench() as bench:
        token = made(bench, kind, b"0123456789")
        answer = await bench.http.get(f"/demo/files/{token}", headers={"Range": "bytes=2-4"})
        assert (answer.status_code, answer.content) == (206, b"234")
        assert answer.headers["content-type"] == type_
        assert answer.headers["content-disposition"].startswith(disposition)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "nosuchtoken", "%00"])
async def test_paths_are_not_tokens(start_bench: StartBench, path: str) -> None:
    async with start_bench() as bench:
        assert (await bench.http.get(f"/demo/files/{path}")).status_code == 404


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_uploads_are_refused_and_leave_nothing(start_bench: StartBench, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    async with start_bench(demo=SMALL, server=ServerSettings(max_body_bytes=100_000)) as bench:
        for kind, size in (("picture", 100_001), ("clip", 200_001)):
            content = chunks() if chunked else bytes(size)
            answer = await bench.http.post(f"/demo/files/{kind}", content=content, headers=RAW)
            assert answer.status_code == 413
        assert (await bench.http.post("/demo/files/clip", content=bytes(200_000), headers=RAW)).status_code == 201
        assert len(list(bench.demo.shelf.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("path", "content", "type_", "status"),
    [
        ("picture", b"", "application/octet-stream", 422),
        ("picture", b"x", "text/plain", 415),
        ("picture", b"x", "multipart/form-data; boundary=x", 415),
        ("anything", b"x", "application/octet-stream", 422),
    ],
)
async def test_other_uploads_are_refused(
    start_bench: StartBench, path: str, content: bytes, type_: str, status: int
) -> None:
    async with start_bench() as bench:
        answer = await bench.http.post(f"/demo/files/{path}", content=content, headers={"Content-Type": type_})
        assert answer.status_code == status
        assert list(bench.demo.shelf.folder.iterdir()) == []
