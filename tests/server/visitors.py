"""A server that asks for tokens, and every route that it has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import Scope, new_token


class Tokens:
    """A file of tokens and the keyring of a server that reads it."""

    def __init__(self, folder: Path) -> None:
        self.file = TokenFile(folder / "tokens.json")
        self.keyring = Keyring(self.file)

    def make(self, *scopes: Scope, name: str = "phone", lifetime_s: float | None = None, now: float = 2e9) -> str:
        """A token that the server knows; its secret."""
        token, secret = new_token(name, frozenset(scopes), now=now, lifetime_s=lifetime_s)
        self.file.add(token)
        self.keyring.load()
        return secret


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    template: str
    """The path with {parameters}."""

    @property
    def path(self) -> str:
        return re.sub(r"\{[^}]*\}", "1", self.template)


def endpoints(app: FastAPI) -> set[Endpoint]:
    """Every route of an app, by method. What is mounted counts as one route, by any method."""
    described = {
        Endpoint(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods
    }
    return described | set(_walk(app.routes))


def _walk(routes: Iterable[BaseRoute]) -> Iterator[Endpoint]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # of FastAPI's include_router
        if inner is not None:
            yield from _walk(inner.routes)
        elif isinstance(route, Mount):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                yield Endpoint(method, f"{route.path}/x")
        else:
            assert isinstance(route, Route), f"who may use {route}? this test cannot tell"
            for method in route.methods or ():
                yield Endpoint(method, route.path)
