"""Pictures in, faces out: one upload, one answer, nothing kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import TypeAdapter
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from streamapp.errors import Overloaded
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.results import ImageResult
from streamapp.sections import ServerSettings
from streamapp.server.openapi import FIELD, FORM, responses
from streamapp.server.pictures import decode

FORM_TYPE = "multipart/form-data"
MAX_OTHER_FIELDS = 8
MAX_OTHER_BYTES = 1024
RECEIPT_TIMEOUT_S = 20.0
RETRY_AFTER_S = 1

_RESULT: TypeAdapter[ImageResult] = TypeAdapter(ImageResult)
_PATHS = {
    "/detect/fast": Mode.FAST,
    "/detect/standard": Mode.STANDARD,
    "/detect/precision": Mode.PRECISION,
    "/analyze/full": Mode.FULL,
}
_SAYS = {
    Mode.FAST: "Near faces, by MediaPipe.",
    Mode.STANDARD: "Near and far faces: YOLO looks too.",
    Mode.PRECISION: "As standard, and MTCNN refines the boxes and adds landmarks.",
    Mode.FULL: "As precision, and every face is analysed: identity, liveness, gender and age, deepfake.",
}
_BOXES = "Boxes are in pixels of the picture turned upright. Of an animated picture the first one counts."


class PictureExaminer(Protocol):
    """What finds and analyses the faces of a picture."""

    async def examine(self, rgb: Image, mode: Mode, *, client: str) -> ImageResult:
        """`client` says whose picture it is, so that one cannot crowd out the others. Raises ModelMissing if a model
        without which the mode makes no sense is not installed, Overloaded if there is no room. Stops when cancelled."""
        ...


def images_router(examiner: PictureExaminer, settings: ServerSettings) -> APIRouter:
    """The routes. They decode in threads of their own, as many as there are cores, which end with the router."""
    router = APIRouter(tags=["images"])
    decoders = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="picture")
    places = asyncio.Semaphore(settings.max_image_requests)

    async def decoded(upload: bytes) -> Image:
        running = asyncio.get_running_loop()
        return await running.run_in_executor(decoders, decode, upload, settings.max_image_pixels)

    async def examined(request: Request, mode: Mode) -> ImageResult:
        if places.locked():
            limit = settings.max_image_requests
            message = f"{limit} pictures are in hand, which is the limit (server.max_image_requests)"
            raise Overloaded(message, retry_after_s=RETRY_AFTER_S)
        client = request.client.host if request.client else ""
        async with places:
            picture = decoded(await _upload(request, settings.max_body_bytes))
            async with _connected(request):  # neither the upload nor the pixels are held here
                return await examiner.examine(await picture, mode, client=client)

    def endpoint(mode: Mode) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                content = _RESULT.dump_json(await examined(request, mode))
            except ClientDisconnect:
                raise HTTPException(400, "the client went away") from None
            return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})

        return answer

    for path, mode in _PATHS.items():
        router.add_api_route(
            path,
            endpoint(mode),
            methods=["POST"],
            name=f"examine_{mode.value}",
            summary=f"The faces of a picture, {mode.value}",
            description=f"{_SAYS[mode]} {_BOXES} Try `curl -F {FIELD}=@portrait.jpg http://127.0.0.1:8000{path}`.",
            response_model=ImageResult,
            responses=responses(mode),
            openapi_extra=FORM,
        )
    return router


async def _upload(request: Request, max_bytes: int) -> bytes:
    """The one file of the form, whatever its name and declared type, kept in memory."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, f"send {FORM_TYPE} with the picture as the file {FIELD}")
    parser = _FormParser(request)
    parser.spool_max_size = max_bytes  # no longer body comes this far: nothing is ever written to disk
    try:
        async with asyncio.timeout(RECEIPT_TIMEOUT_S):
            form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except TimeoutError:
        raise HTTPException(408, f"the picture did not come within {RECEIPT_TIMEOUT_S:g} s") from None
    except ValueError as error:  # a charset that does not fit
        raise HTTPException(400, "the form cannot be read") from error
    try:
        found = form.getlist(FIELD)
        if len(found) != 1 or not isinstance(found[0], UploadFile):
            raise HTTPException(422, f"send exactly one file named {FIELD}")
        return await found[0].read()
    finally:
        await form.close()


class _FormParser(MultiPartParser):
    """Starlette's takes a form that was cut off for a whole one."""

    def __init__(self, request: Request) -> None:
        super().__init__(
            request.headers,
            self._whole(request),
            max_files=1,
            max_fields=MAX_OTHER_FIELDS,
            max_part_size=MAX_OTHER_BYTES,
        )
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _whole(self, request: Request) -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            yield chunk
        if not self._ended:
            raise MultiPartException("the form is cut off")


@asynccontextmanager
async def _connected(request: Request) -> AsyncIterator[None]:
    """Cancels the block when the client goes away, which raises ClientDisconnect. The body must have been read."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_until_gone(request))
            yield
            watching.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect
