"""Lets requests in: who has the token that the rules ask for. Plain ASGI, so that it stands before every route, static
files and streaming responses included, and ends what a revoked token began."""

from __future__ import annotations

import asyncio
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamapp.access.keyring import Grant, Keyring
from streamapp.access.lockout import Lockout
from streamapp.access.tokens import MAX_SECRET_CHARACTERS, digest
from streamapp.access.tokens import Scope as TokenScope
from streamapp.errors import LockedOut, ScopeMissing, TokenInvalid, TokenMissing
from streamapp.server.access_rules import LOGIN_PAGE, AccessRules, Entry
from streamapp.server.problems import problem_of

_GRANT = "streamapp.grant"
_SCOPES = "streamapp.scopes"


class Visitors:
    """Turns secrets into grants, for requests and for the login page."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._lockout = Lockout()

    async def admit(self, client: str, secret: str) -> Grant:
        """The grant of a secret. Raises TokenInvalid, LockedOut."""
        self._lockout.check(client)
        grant = await self.keyring.find(secret) if len(secret) <= MAX_SECRET_CHARACTERS else None
        if grant is None:
            self._lockout.failed(client, digest(secret))
            raise TokenInvalid("this token is not known; it may have been revoked")
        self._lockout.succeeded(client)
        if grant.has_ended or self.keyring.has_expired(grant):
            raise TokenInvalid(f"the token {grant.token.name} is over; ask for a new one")
        return grant

    async def identify(self, scope: Scope) -> Grant | None:
        """Who asks, by header or else by cookie; None: nobody in particular. Raises TokenInvalid, LockedOut."""
        secret = _presented(scope)
        return None if secret is None else await self.admit(client_of(scope), secret)


class Entrance:
    """Refuses requests without the token they need: 401, or 403 if the token is for something else. Browsers that open
    a page get the login page instead."""

    def __init__(self, app: ASGIApp, visitors: Visitors, rules: AccessRules, pages: Path) -> None:
        self._app = app
        self._visitors = visitors
        self._rules = rules
        self._login_page = (pages / LOGIN_PAGE).read_text("utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there is none, whoever serves this app
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http" or not self._visitors.keyring.requires_tokens:
            scope[_SCOPES] = frozenset(TokenScope)
            await self._app(scope, receive, send)
            return
        scope[_SCOPES] = frozenset()
        needs = self._rules.needs(scope["method"], scope["path"])
        if needs is Entry.ANYONE:
            await self._app(scope, receive, send)
            return
        try:
            grant = await self._visitors.identify(scope)
            if grant is None and needs is Entry.REDUCED:
                await self._app(scope, receive, send)
                return
            if grant is None:
                raise TokenMissing("send a token: Authorization: Bearer TOKEN; `streamapp token create` makes one")
            if needs is not Entry.REDUCED:
                _check_scopes(grant, needs)
        except (TokenMissing, TokenInvalid, ScopeMissing, LockedOut) as error:
            await self._refusal(error, scope)(scope, receive, send)
            return
        scope[_GRANT], scope[_SCOPES] = grant, grant.token.scopes
        await _Visit(grant, receive, send).run(self._app, scope)

    def _refusal(self, error: TokenMissing | TokenInvalid | ScopeMissing | LockedOut, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
        if is_page and isinstance(error, TokenMissing | TokenInvalid):
            response: Response = HTMLResponse(self._login_page, error.http_status)
        else:
            response = problem_of(error)
        response.headers["Cache-Control"] = "no-store"
        if isinstance(error, TokenMissing):
            response.headers["WWW-Authenticate"] = 'Bearer realm="streamapp"'  # RFC 6750 section 3
        elif isinstance(error, TokenInvalid):
            response.headers["WWW-Authenticate"] = 'Bearer realm="streamapp", error="invalid_token"'
            if cookie_name(scope) in _cookies(headers):
                forget(response, scope)
        elif isinstance(error, ScopeMissing):
            response.headers["WWW-Authenticate"] = 'Bearer realm="streamapp", error="insufficient_scope"'
        return response


class _Visit:
    """One request of somebody with a grant. When the grant ends, the route is told that the client has gone, and the
    client that the response is complete: events and motion JPEG would go on for ever."""

    def __init__(self, grant: Grant, receive: Receive, send: Send) -> None:
        self._grant = grant
        self._receive = receive
        self._send = send
        self._unfinished = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._next, self._pass_on)
        if self._unfinished and self._grant.has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                release = self._grant.on_end(lambda: limit.reschedule(loop.time()))
                try:
                    return await self._receive()
                finally:
                    release()
        except TimeoutError:
            return {"type": "http.disconnect"}

    async def _pass_on(self, message: Message) -> None:
        self._unfinished = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)


def grant_of(request: Request) -> Grant | None:
    """Whose request this is; None: tokens are not in use, or not needed for this."""
    grant = request.scope.get(_GRANT)
    assert grant is None or isinstance(grant, Grant)
    return grant


def may(request: Request, scope: TokenScope) -> bool:
    """Whether whoever asks may do something of that scope. Without tokens, everybody may."""
    return scope in request.scope.get(_SCOPES, ())


def client_of(scope: Scope) -> str:
    """The client's address."""
    return str(scope["client"][0]) if scope.get("client") else ""


def cookie_name(scope: Scope) -> str:
    """Over TLS a name that no other host or path can set (RFC 6265bis section 4.1.3.2)."""
    return "__Host-streamapp" if scope["scheme"] == "https" else "streamapp"


def remember(response: Response, scope: Scope, secret: str, max_age_s: int) -> None:
    """Has the browser send a token by itself, to this site's own pages only."""
    _set_cookie(response, scope, secret, max_age_s)


def forget(response: Response, scope: Scope) -> None:
    """Has the browser forget the token."""
    _set_cookie(response, scope, "", 0)


def _set_cookie(response: Response, scope: Scope, value: str, max_age_s: int) -> None:
    secure = scope["scheme"] == "https"
    name = cookie_name(scope)
    response.set_cookie(name, value, max_age_s, path="/", secure=secure, httponly=True, samesite="strict")


def _check_scopes(grant: Grant, needs: frozenset[TokenScope]) -> None:
    lacking = needs - grant.token.scopes
    if lacking:
        names = ", ".join(sorted(lacking))
        raise ScopeMissing(f"the token {grant.token.name} is not for this: it lacks the scope {names}")


def _presented(scope: Scope) -> str | None:
    """The secret in a request; None if there is none."""
    headers = Headers(scope=scope)
    given = headers.getlist("authorization")
    if not given:
        return _cookies(headers).get(cookie_name(scope)) or None
    kind, _, secret = given[0].strip().partition(" ")
    if len(given) > 1 or kind.lower() != "bearer" or not secret.strip():
        raise TokenMissing("send one header, Authorization: Bearer TOKEN")
    return secret.strip()


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie("; ".join(headers.getlist("cookie"))).items()}
    except CookieError:
        return {}
