"""The running server that is put under load: what is asked of it over HTTP."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import ValidationError

from streamapp.errors import Overloaded, StreamappError, UsageError
from streamapp.server.schemas import Problem
from streamapp.server.status_schemas import Status
from streamapp.settings import TOKEN_VARIABLE

TIMEOUT_S = 20.0
RETRY_AFTER_S = 5


class Target:
    """Its methods raise UsageError if no server of ours answers, or it refuses, and Overloaded if it is full."""

    def __init__(self, address: str, client: httpx.AsyncClient) -> None:
        self.address = address
        self._client = client

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: str) -> AsyncIterator[Target]:
        """With the token of the environment, if there is one."""
        token = os.environ.get(TOKEN_VARIABLE)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        certificates = ssl.create_default_context()
        async with httpx.AsyncClient(
            base_url=address, headers=headers, timeout=TIMEOUT_S, verify=certificates, trust_env=False
        ) as client:
            yield cls(address, client)

    async def status(self) -> Status:
        try:
            return Status.model_validate_json((await self._ask("GET", "/status")).content)
        except ValidationError as error:
            raise UsageError(f"what answers at {self.address} is not this app, or another version of it") from error

    async def publish(self, mode: str, offer: str) -> tuple[str, str]:
        """The answer to an offer, and the address that ends the session."""
        response = await self._ask(
            "POST", "/whip", params={"mode": mode}, content=offer, headers={"Content-Type": "application/sdp"}
        )
        return response.text, urljoin("/whip", response.headers.get("Location", ""))

    async def add_stream(self, name: str, source: str, mode: str) -> None:
        await self._ask("POST", "/streams", json={"name": name, "source": source, "mode": mode})

    async def end(self, path: str) -> None:
        """Ends a session or a stream; one that has gone already is no error."""
        with contextlib.suppress(StreamappError):
            await self._ask("DELETE", path)

    async def _ask(self, method: str, path: str, **given: object) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **given)  # type: ignore[arg-type] # httpx's own names
        except httpx.HTTPError as error:
            raise UsageError(
                f"no server answers at {self.address} ({str(error) or type(error).__name__}); "
                "start one with `streamapp serve`"
            ) from error
        if response.is_success:
            return response
        code, detail = _problem(response)
        if code in ("token_missing", "token_invalid", "scope_missing"):
            raise UsageError(
                f"{self.address} wants a token with the scopes view and operate in the environment as {TOKEN_VARIABLE}"
            )
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Overloaded(detail, retry_after_s=RETRY_AFTER_S)
        raise UsageError(f"{self.address} refuses {method} {path}: {detail}")


def is_loopback(address: str) -> bool:
    """Whether an http, https, rtsp or rtsps address is this machine's own, whatever its name means."""
    host = urlsplit(address).hostname
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


def _problem(response: httpx.Response) -> tuple[str, str]:
    """The code and the detail of what a server of ours refuses."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return "", f"{response.status_code} {response.reason_phrase}"
    return problem.code, problem.detail
