"""The page and its files, at `/`: every path that nobody else has."""

from __future__ import annotations

from pathlib import Path

from fastapi import HTTPException
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

_METHODS = ("GET", "HEAD")


class Page(StaticFiles):
    """Browsers keep the files but ask each time whether they are still the newest: an update takes effect at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in _METHODS:
            await super().get_response(path, {**scope, "method": "HEAD"})  # raises 404 for what is not there
            raise HTTPException(405, "Method Not Allowed", {"Allow": ", ".join(_METHODS)})
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
