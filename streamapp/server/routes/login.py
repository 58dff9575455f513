"""For browsers: a token becomes a cookie, since video, pictures and event streams cannot send headers."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from streamapp.access.keyring import Grant
from streamapp.access.tokens import MAX_SECRET_CHARACTERS, Scope
from streamapp.server.entrance import Visitors, client_of, forget, remember

MAX_AGE_S = 30 * 86_400


class LoginRequest(BaseModel):
    """What the login page sends."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[SecretStr, Field(min_length=1, max_length=MAX_SECRET_CHARACTERS)]


class Login(BaseModel):
    """Who the browser is here."""

    required: bool = Field(description="Whether the server asks for tokens.")
    name: str | None = Field(None, description="The token's name; null: not logged in.")
    scopes: list[Scope] = Field(default_factory=lambda: list(Scope), description="What may be done.")
    expires_at: float | None = Field(None, description="Unix time in seconds.")

    @classmethod
    def of(cls, grant: Grant) -> Login:
        token = grant.token
        return cls(required=True, name=token.name, scopes=sorted(token.scopes), expires_at=token.expires_at)


def login_router(visitors: Visitors) -> APIRouter:
    router = APIRouter(prefix="/login", tags=["login"])

    @router.get("")
    async def show_login(request: Request) -> Login:
        """Who the browser is here. 401 if it holds a token that is not valid."""
        if not visitors.keyring.requires_tokens:
            return Login(required=False)
        grant = await visitors.identify(request.scope)
        return Login.of(grant) if grant else Login(required=True, scopes=[])

    @router.post("")
    async def log_in(request: Request, response: Response, given: LoginRequest) -> Login:
        """Keeps a token in a cookie that scripts cannot read."""
        if not visitors.keyring.requires_tokens:
            return Login(required=False)
        secret = given.token.get_secret_value().strip()
        grant = await visitors.admit(client_of(request.scope), secret)
        expires_at = grant.token.expires_at
        left_s = MAX_AGE_S if expires_at is None else int(expires_at - time.time())
        remember(response, request.scope, secret, max(1, min(left_s, MAX_AGE_S)))
        return Login.of(grant)

    @router.delete("", status_code=status.HTTP_204_NO_CONTENT)
    async def log_out(request: Request, response: Response) -> None:
        """Forgets the token in this browser; it stays valid elsewhere."""
        forget(response, request.scope)

    return router
