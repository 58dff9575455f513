"""Uploads to the demo's shelf and downloads from it: raw bytes in, a token back, and files by their token out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import ClientDisconnect

from streamapp.demo.shelf import Kind, Shelf
from streamapp.errors import Overloaded

UPLOAD_TYPE = "application/octet-stream"
"""Pages of other origins cannot send this without asking the server first."""
MAX_UPLOADS = 4
RECEIPT_TIMEOUT_S = 300.0
CHUNK_BYTES = 1 << 20
_MADE = {Kind.PAINTED_PICTURE: "image/jpeg", Kind.PAINTED_CLIP: "video/mp4", Kind.RESULTS: "application/jsonl"}


def file_router(shelf: Shelf, max_bytes: Mapping[Kind, int]) -> APIRouter:
    """`max_bytes`: the largest upload of a kind."""
    router = APIRouter(prefix="/demo/files", include_in_schema=False)
    places = asyncio.Semaphore(MAX_UPLOADS)

    @router.post("/{kind}")
    async def upload(kind: Literal["picture", "clip"], request: Request) -> Response:
        if request.headers.get("content-type") != UPLOAD_TYPE:
            raise HTTPException(415, f"send the file as it is, as {UPLOAD_TYPE}")
        if places.locked():
            raise Overloaded(f"{MAX_UPLOADS} files are being received, which is the limit", retry_after_s=5)
        async with places:
            path = shelf.place(Kind(kind))
            try:
                async with asyncio.timeout(RECEIPT_TIMEOUT_S):
                    await _receive(request, path, max_bytes[Kind(kind)])
                item = shelf.put(Kind(kind), path)
            except BaseException as error:
                path.unlink(missing_ok=True)
                if isinstance(error, TimeoutError):
                    raise HTTPException(408, f"the file did not come within {RECEIPT_TIMEOUT_S:g} s") from None
                if isinstance(error, ClientDisconnect):
                    raise HTTPException(400, "the client went away") from None
                raise
        return JSONResponse({"token": item.token}, 201, headers={"Cache-Control": "no-store"})

    @router.get("/{token}")
    async def download(token: str) -> Response:
        item = shelf.find(token, *_MADE)
        shown = item.kind is not Kind.RESULTS
        return FileResponse(
            item.path,
            media_type=_MADE[item.kind],
            filename=f"{item.kind}{item.path.suffix}",
            content_disposition_type="inline" if shown else "attachment",
            headers={"Cache-Control": "private, no-store"},
        )

    return router


async def _receive(request: Request, path: Path, max_bytes: int) -> None:
    """Writes the body to `path` as it comes. Raises HTTPException 413 once it is too long, 422 if it is empty."""
    kept, size_bytes = bytearray(), 0
    with await asyncio.to_thread(_create, path) as file:
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise HTTPException(413, f"the file is larger than {max_bytes} bytes")
            kept += chunk
            if len(kept) >= CHUNK_BYTES:
                await asyncio.to_thread(file.write, bytes(kept))
                kept.clear()
        if not size_bytes:
            raise HTTPException(422, "the file is empty")
        await asyncio.to_thread(file.write, bytes(kept))


def _create(path: Path) -> BinaryIO:
    return path.open("xb")
