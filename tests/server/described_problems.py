"""Every problem that a test of the server gets is one that the API's description has."""

from __future__ import annotations

import re

import httpx
from fastapi import FastAPI

from streamapp.server.description import COMMON_PROBLEMS
from streamapp.server.problems import MEDIA_TYPE


class DescribedProblems:
    """A hook for the responses of an httpx client. Fails the test that asked for what is not described."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, response: httpx.Response) -> None:
        if response.headers.get("content-type") != MEDIA_TYPE or response.request.method == "HEAD":
            return
        await response.aread()
        status, code = response.status_code, response.json()["code"]
        request = f"{response.request.method} {response.request.url.path}"
        known = self._codes(response.request.method.lower(), response.request.url.path, status)
        told = f"{request} answered {status} {code}: add it to the route's problem_responses(...)"
        assert code in known | set(COMMON_PROBLEMS.get(status, ())), told

    def _codes(self, method: str, path: str, status: int) -> set[str]:
        for template, methods in self._app.openapi()["paths"].items():
            if method in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                described = methods[method]["responses"].get(str(status), {}).get("content", {})
                return set(described.get(MEDIA_TYPE, {}).get("examples", ()))
        return set()
