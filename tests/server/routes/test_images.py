"""Pictures over HTTP: what each upload gets, good or bad, one or a hundred."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message

from streamapp.errors import ModelMissing, Overloaded
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.results import ImageResult
from streamapp.sections import ModelSettings, ServerSettings
from streamapp.server import problems, uploads
from streamapp.server.pictures import decode
from streamapp.server.routes import images
from streamapp.server.uploads import Uploads
from tests.fakes import ScriptedExaminer
from tests.server.conftest import ORIGIN, Bench, StartBench
from tests.server.picture_bytes import png_of, saved
from tests.server.routes.test_webrtc import problem
from tests.shared_data import shared_file
from tests.waiting import until
from tests.weights import SHORT_RANGE, weights_of

PATHS = {
    "/detect/fast": Mode.FAST,
    "/detect/standard": Mode.STANDARD,
    "/detect/precision": Mode.PRECISION,
    "/analyze/full": Mode.FULL,
}
PICTURE = saved(np.full((20, 30, 3), 90, np.uint8), "PNG")
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=x"}


def part(content: bytes, disposition: bytes = b'form-data; name="image"; filename="a.png"') -> bytes:
    return b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


async def post(bench: Bench, data: bytes, path: str = "/detect/fast") -> httpx.Response:
    return await bench.http.post(path, files={"image": ("a.jpg", data, "image/jpeg")})


def use(bench: Bench, monkeypatch: pytest.MonkeyPatch, examiner: ScriptedExaminer) -> ScriptedExaminer:
    """Has the bench's pictures examined by a fake."""
    monkeypatch.setattr(bench.runtime.models, "examine", examiner.examine)
    return examiner


# -- good pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_a_picture_is_examined(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with start_bench() as bench:
        examiner = use(bench, monkeypatch, ScriptedExaminer())
        response = await post(bench, PICTURE, path)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        result = TypeAdapter(ImageResult).validate_json(response.content)
        assert (result.width, result.height, result.mode) == (30, 20, PATHS[path])
        assert examiner.asked == [(PATHS[path], (20, 30, 3), "127.0.0.1")]


@pytest.mark.weights
@pytest.mark.media
async def test_a_face_is_found(start_bench: StartBench) -> None:
    data = shared_file("media/portraits/uniface_src_man1.jpg").read_bytes()
    _, weights = weights_of(*SHORT_RANGE)
    async with start_bench(models=ModelSettings(dir=weights.parent)) as bench:
        response = await post(bench, data)
    result = TypeAdapter(ImageResult).validate_json(response.content)
    assert (result.width, result.height, len(result.faces)) == (1280, 1093, 1)


async def test_a_model_that_is_missing_is_named(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench(models=ModelSettings(dir=tmp_path)) as bench:
        response = await post(bench, PICTURE, "/detect/standard")
        assert (response.status_code, problem(response)) == (503, "model_missing")
        assert "models pull" in response.json()["detail"]


@pytest.mark.parametrize("name", [b"../../x", b"a\0b", b"C:\\x", b"", b"x" * 4000, "ä".encode(), b"\xff\xfe"])
async def test_the_name_and_type_of_the_file_do_not_matter(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    async with start_bench() as bench:
        use(bench, monkeypatch, ScriptedExaminer())
        named = b'form-data; name="image"; filename="' + name + b'"\r\nContent-Type: text/html'
        response = await bench.http.post("/detect/fast", content=form(part(PICTURE, named)), headers=FORM_TYPE)
        assert response.status_code == 200, response.text


async def test_nothing_is_written_to_disk(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("a file was made")

    async with start_bench() as bench:
        use(bench, monkeypatch, ScriptedExaminer())
        monkeypatch.setattr(tempfile, "TemporaryFile", unexpected)  # what the form's parser spools to
        noise = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), np.uint8)
        data = saved(noise, "PNG", compress_level=0)
        assert len(data) > 8_000_000
        assert (await post(bench, data)).status_code == 200


# -- bad requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (PICTURE, {"Content-Type": "image/png"}, 415, "media_type_unsupported"),
        (b"{}", {"Content-Type": "application/json"}, 415, "media_type_unsupported"),
        (b"", {}, 415, "media_type_unsupported"),
        (form(part(PICTURE)), {"Content-Type": "multipart/form-data"}, 400, "bad_request"),
        (form(part(PICTURE)), {"Content-Type": "multipart/form-data; boundary=" + "y" * 300}, 400, "bad_request"),
        (form(part(PICTURE)), {"Content-Type": "multipart/form-data; boundary=y"}, 400, "bad_request"),
        (part(PICTURE), FORM_TYPE, 400, "bad_request"),
        (form(part(PICTURE), part(PICTURE)), FORM_TYPE, 400, "bad_request"),
        (form(part(PICTURE), *[part(b"1", b'form-data; name="a"')] * 1001), FORM_TYPE, 400, "bad_request"),
        (form(part(PICTURE), part(bytes(1_000_000), b'form-data; name="a"')), FORM_TYPE, 400, "bad_request"),
        (
            form(part(PICTURE, b'form-data; name="image"; filename="' + b"x" * 5000 + b'"')),
            FORM_TYPE,
            400,
            "bad_request",
        ),
        (form(part(PICTURE, b"form-data")), FORM_TYPE, 400, "bad_request"),
        (
            form(part(PICTURE, b'form-data; name="' + b"\xff" * 80 + b'"; filename="a"')),
            {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"},
            400,
            "bad_request",
        ),
        (form(), FORM_TYPE, 422, "request_invalid"),
        (form(part(PICTURE, b'form-data; name="picture"; filename="a"')), FORM_TYPE, 422, "request_invalid"),
        (form(part(b"1", b'form-data; name="image"')), FORM_TYPE, 422, "request_invalid"),
        (form(part(b"1", b'form-data; name="image"'), part(PICTURE)), FORM_TYPE, 422, "request_invalid"),
        (form(part(b"")), FORM_TYPE, 422, "picture_invalid"),
        (form(part(PICTURE[:-30])), FORM_TYPE, 422, "picture_invalid"),
        (form(part(b"<svg/>")), FORM_TYPE, 415, "picture_unsupported"),
        (form(part(png_of(20_000, 20_000))), FORM_TYPE, 413, "picture_too_large"),
    ],
)
async def test_bad_requests(
    start_bench: StartBench,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    async with start_bench() as bench:
        examiner = use(bench, monkeypatch, ScriptedExaminer())
        response = await bench.http.post("/analyze/full", content=content, headers=headers)
        assert (response.status_code, problem(response)) == (status, code), response.text
        assert not examiner.asked
        assert (await post(bench, PICTURE)).status_code == 200, "the next one is served"


async def test_what_is_too_long_is_not_read(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        yield part(b"")[:-2]
        while True:
            sent += 50_000
            yield bytes(50_000)

    async with start_bench(server=ServerSettings(max_body_bytes=1_000_000)) as bench:
        use(bench, monkeypatch, ScriptedExaminer())
        declared = await post(bench, bytes(1_100_000))
        assert (declared.status_code, problem(declared)) == (413, "body_too_large")
        chunked = await bench.http.post("/detect/fast", content=chunks(), headers=FORM_TYPE)
        assert (chunked.status_code, problem(chunked)) == (413, "body_too_large")
        assert sent <= 1_050_000


async def test_a_page_of_another_origin_cannot_send_pictures(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.post(
            "/detect/fast", files={"image": PICTURE}, headers={"Origin": "http://evil.example"}
        )
        assert (response.status_code, problem(response)) == (403, "origin_not_allowed")


async def test_an_upload_has_a_deadline(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield part(PICTURE)[:40]
        await asyncio.Event().wait()

    async with start_bench(server=ServerSettings(max_image_requests=1)) as bench:
        use(bench, monkeypatch, ScriptedExaminer())
        monkeypatch.setattr(uploads, "RECEIPT_TIMEOUT_S", 0.05)
        response = await bench.http.post("/detect/fast", content=chunks(), headers=FORM_TYPE)
        assert (response.status_code, problem(response)) == (408, "request_timeout")
        assert response.headers["connection"] == "close"
        assert (await post(bench, PICTURE)).status_code == 200, "its place is free again"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelMissing("yolov10n-face is not installed; run `streamapp models pull`"), "model_missing"),
        (Overloaded("no room on the device", retry_after_s=7), "overloaded"),
    ],
)
async def test_errors_of_the_models_are_told(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    async with start_bench() as bench:
        use(bench, monkeypatch, ScriptedExaminer(error=error))
        response = await post(bench, PICTURE, "/detect/standard")
        assert (response.status_code, problem(response)) == (503, code)
        assert response.json()["detail"] == str(error)
        assert response.headers.get("retry-after") == ("7" if code == "overloaded" else None)


# -- many at once ------------------------------------------------------------------------------------------------------


async def test_a_hundred_uploads_leave_the_server_answering(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = asyncio.Event()
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield form(part(PICTURE))

    async def upload(bench: Bench) -> httpx.Response:
        return await bench.http.post("/detect/fast", content=body(), headers=FORM_TYPE)

    async with start_bench(server=ServerSettings(max_image_requests=16)) as bench:
        examiner = use(bench, monkeypatch, ScriptedExaminer(hold=hold))
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(upload(bench)) for _ in range(100)]
            await until(lambda: sum(task.done() for task in uploads) == 84 and examiner.running == 16)
            refused = [task.result() for task in uploads if task.done()]
            assert {(response.status_code, problem(response)) for response in refused} == {(503, "overloaded")}
            assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
            assert all(response.headers["connection"] == "close" for response in refused), "their bodies are unread"
            assert read == 16
            assert (await bench.http.get("/health")).status_code == 200
            assert (await bench.http.get("/streams")).status_code == 200
            hold.set()
        assert sorted(task.result().status_code for task in uploads) == [200] * 16 + [503] * 84
        assert (await post(bench, PICTURE)).status_code == 200


async def test_decoding_is_bounded_and_off_the_loop(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    lock = threading.Lock()
    at_once = most = 0

    def slow(data: bytes, max_pixels: int) -> Image:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        assert gate.wait(10), "the test never opened the gate"
        with lock:
            at_once -= 1
        return decode(data, max_pixels)

    monkeypatch.setattr("streamapp.server.uploads.decode", slow)
    cores = os.cpu_count() or 1
    async with start_bench(server=ServerSettings(max_image_requests=cores + 4)) as bench:
        use(bench, monkeypatch, ScriptedExaminer())
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(post(bench, PICTURE)) for _ in range(cores + 4)]
            await until(lambda: at_once == cores)
            assert (await bench.http.get("/health")).status_code == 200
            gate.set()
        assert {task.result().status_code for task in uploads} == {200}
        assert most == cores


# -- clients that go away ----------------------------------------------------------------------------------------------


async def send_and_vanish(app: ASGIApp, content: bytes, gone: asyncio.Event, *, whole: bool = True) -> int:
    """Posts to the app itself, then disconnects once told to. Returns the status that nobody gets."""
    messages: list[Message] = []
    body: Iterator[Message] = iter([{"type": "http.request", "body": content, "more_body": not whole}])

    async def receive() -> Message:
        if (message := next(body, None)) is not None:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", FORM_TYPE["Content-Type"].encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/detect/fast",
        "query_string": b"",
        "headers": headers,
    }
    await app(scope, receive, send)
    return int(messages[0]["status"])


async def test_a_client_that_goes_away_cancels_its_picture() -> None:
    examiner = ScriptedExaminer(hold=asyncio.Event())
    gone = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        request = group.create_task(send_and_vanish(app_of(examiner, max_image_requests=1), form(part(PICTURE)), gone))
        await until(lambda: examiner.running == 1)
        gone.set()
    assert (examiner.running, examiner.cancelled, request.result()) == (0, 1, 400)


async def test_a_client_that_goes_away_while_sending_frees_its_place() -> None:
    app = app_of(examiner := ScriptedExaminer(), max_image_requests=1)
    gone = asyncio.Event()
    gone.set()
    assert await send_and_vanish(app, form(part(PICTURE))[:60], gone, whole=False) == 400
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http:
        assert (await http.post("/detect/fast", files={"image": PICTURE})).status_code == 200
    assert len(examiner.asked) == 1


# -- whatever comes ----------------------------------------------------------------------------------------------------


def app_of(examiner: ScriptedExaminer, **settings: int) -> FastAPI:
    """The routes alone."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})
    problems.install(app)
    app.include_router(images.images_router(examiner, Uploads(ServerSettings(**settings))))
    return app


GARBAGE_TAKER = app_of(ScriptedExaminer())


@settings(deadline=None)
@given(
    st.binary(max_size=300) | st.binary(max_size=300).map(lambda content: form(part(content))),
    st.sampled_from((FORM_TYPE["Content-Type"], "multipart/form-data; boundary=x; charset=punycode"))
    | st.text(max_size=30),
)
async def test_garbage_is_the_sender_s_fault(content: bytes, media_type: str) -> None:
    transport = httpx.ASGITransport(GARBAGE_TAKER, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        headers = {b"Content-Type": media_type.encode("utf-8", "replace")}
        response = await http.post("/detect/fast", content=content, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    assert problem(response)


# -- the description ---------------------------------------------------------------------------------------------------


async def test_the_api_describes_itself(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        described = (await bench.http.get("/openapi.json")).json()
    for path in PATHS:
        route = described["paths"][path]["post"]
        schema = route["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert schema["required"] == ["image"]
        answer = route["responses"]["200"]["content"]["application/json"]
        assert answer["schema"] == {"$ref": "#/components/schemas/ImageResult"}
        assert answer["example"]["faces"]
        for status in ("400", "408", "413", "415", "422", "503"):
            assert route["responses"][status]["content"]["application/problem+json"]["examples"]
