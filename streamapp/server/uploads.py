"""Pictures and the fields beside them, as forms: received whole, kept in memory, decoded on threads of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from streamapp.errors import Overloaded
from streamapp.frame import Image
from streamapp.sections import ServerSettings
from streamapp.server.pictures import decode
from streamapp.server.security import FORM_TYPE, is_form

FIELD = "image"
MAX_FIELDS = 16
MAX_FIELD_BYTES = 1024
RECEIPT_TIMEOUT_S = 20.0
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Form:
    """files: those named FIELD, as they came. fields: all others, by name."""

    files: tuple[bytes, ...]
    fields: Mapping[str, str]


class Uploads:
    """What receives pictures, for all routes together: so many requests at once as the settings say, so many decoded at
    once as there are cores. Its threads end with it."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="picture")
        self._places = asyncio.Semaphore(settings.max_image_requests)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Held while a request with pictures is worked on. Raises Overloaded if there is none left."""
        if self._places.locked():
            limit = self._settings.max_image_requests
            message = f"{limit} pictures are in hand, which is the limit (server.max_image_requests)"
            raise Overloaded(message, retry_after_s=RETRY_AFTER_S)
        async with self._places:
            yield

    async def form(self, request: Request, *, max_files: int = 1) -> Form:
        """The form of a request: 1 to `max_files` pictures, whatever their names and declared types. Raises
        HTTPException."""
        if not is_form(request.headers):
            raise HTTPException(415, f"send {FORM_TYPE} with the picture as the file {FIELD}")
        parser = _FormParser(request, max_files)
        parser.spool_max_size = self._settings.max_body_bytes  # no longer body comes this far: none is written to disk
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
            files = [file for file in found if isinstance(file, UploadFile)]
            if not files or len(files) != len(found):
                count = "exactly one file" if max_files == 1 else f"1 to {max_files} files"
                raise HTTPException(422, f"send {count} named {FIELD}")
            fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            return Form(tuple([await file.read() for file in files]), fields)
        finally:
            await form.close()

    async def decoded(self, upload: bytes) -> Image:
        """Raises what `decode` does."""
        running = asyncio.get_running_loop()
        return await running.run_in_executor(self._decoders, decode, upload, self._settings.max_image_pixels)


class _FormParser(MultiPartParser):
    """Starlette's takes a form that was cut off for a whole one."""

    def __init__(self, request: Request, max_files: int) -> None:
        super().__init__(
            request.headers,
            self._whole(request),
            max_files=max_files,
            max_fields=MAX_FIELDS,
            max_part_size=MAX_FIELD_BYTES,
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
async def connected(request: Request) -> AsyncIterator[None]:
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
