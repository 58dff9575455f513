"""Who may talk to the server: known host names only (DNS rebinding), no foreign pages (CSRF), and what browsers are
told about our pages. Plain ASGI, so that it stands before everything, streaming responses included."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamapp.sections import ServerSettings
from streamapp.server.addresses import own_names
from streamapp.server.problems import problem

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FORM_TYPE = "multipart/form-data"
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BODY_TIMEOUT_S = 60.0
"""For the whole body. Routes that know better have shorter limits."""
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_FOREIGN_SITES = {"cross-site", "same-site"}


class Guard:
    """Refuses requests by name of host and by origin, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._hosts = {_bracketed(name) for name in own_names(settings)}
        self._origins = {origin.rstrip("/").lower() for origin in settings.allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if not self._is_known_host(headers.getlist("host")):
            refusal = problem(
                400, "host_not_allowed", "the server is not known by this name; add it to server.allowed_hosts"
            )
            await refusal(scope, receive, send_with_headers)
        elif not self._is_own_page(scope["method"], scope["scheme"], headers):
            refusal = problem(
                403, "origin_not_allowed", "pages of other origins may not do this; see server.allowed_origins"
            )
            await refusal(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _is_known_host(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name, _, port = hosts[0].rpartition(":") if not hosts[0].endswith("]") else (hosts[0], "", "")
        if not name:
            name, port = port, ""
        return name.lower() in self._hosts and (port == "" or port.isdecimal())

    def _is_own_page(self, method: str, scheme: str, headers: Headers) -> bool:
        """Requests without an Origin come from programs, or from our own pages' GETs. A page of another origin may only
        be a link to ours."""
        origin = headers.get("origin")
        own = f"{scheme}://{headers['host']}".lower()
        if origin is not None and origin.lower() != own and origin.lower() not in self._origins:
            return False
        site = headers.get("sec-fetch-site")
        if site not in _FOREIGN_SITES or (origin is not None and origin.lower() in self._origins):
            return True
        return method in _SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"


class BodyLimit:
    """Refuses request bodies over a limit with 413, told by Content-Length or, if they are chunked, once they are too
    long, and bodies that take too long to come with 408. A chunked body that nobody read to its end may be endless:
    the connection is closed with the response. `by_prefix`: other limits for the paths that begin so, the lowest that
    applies counts; `forms_at`: those of them where forms may be longer."""

    def __init__(
        self, app: ASGIApp, max_bytes: int, by_prefix: Mapping[str, int], forms_at: Collection[str] = ()
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._by_prefix = by_prefix
        self._by_prefix_of_forms = {prefix: n for prefix, n in by_prefix.items() if prefix not in forms_at}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limits = self._by_prefix_of_forms if is_form(headers) else self._by_prefix
        own = (n for prefix, n in limits.items() if scope["path"].startswith(prefix))
        limit = min(own, default=self._max_bytes)
        received, unread = 0, "transfer-encoding" in headers
        deadline_s: float | None = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

        async def receive_limited() -> Message:
            nonlocal received, unread, deadline_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {BODY_TIMEOUT_S:g} s") from None
            if not message.get("more_body"):
                deadline_s = None
            received += len(message.get("body", b""))
            unread = unread and bool(message.get("more_body"))
            if received > limit:
                raise HTTPException(413, f"the body is larger than {limit} bytes")
            return message

        async def send_closing(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > limit:
            refusal = problem(413, "body_too_large", f"the body is larger than {limit} bytes")
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive_limited, send_closing)


def is_form(headers: Headers) -> bool:
    """Whether a body is declared as multipart/form-data."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
