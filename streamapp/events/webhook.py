"""Events posted to a web address, signed as Standard Webhooks 1.0.0 has it (standardwebhooks.com)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from streamapp import __version__
from streamapp.choices import EventKind
from streamapp.errors import DeliveryFailed, DeliveryRefused, TargetGone
from streamapp.event_settings import SECRET_PREFIX, WebhookSettings
from streamapp.events.message import EventMessage, WebhookBody
from streamapp.events.tls import tls_context

_REFUSALS = frozenset({400, 413, 415, 422})
"""What says that this event is at fault, not the address, the secret or the moment."""
_GONE = 410


def signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: HMAC-SHA256 of id, time and body, with dots between."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Webhook:
    """A Target. Follows no redirects, uses no proxy, sends no cookies, reads nothing of the answer but its status.

    clock: Unix time in seconds.
    """

    def __init__(self, settings: WebhookSettings, timeout_s: float, clock: Callable[[], float] = time.time) -> None:
        self.name = settings.name
        self.kinds: frozenset[EventKind] = frozenset(settings.kinds)
        self._url = settings.url.get_secret_value()
        secret = settings.secret.get_secret_value()
        self._key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        self._timeout_s = timeout_s
        self._clock = clock

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[_Poster]:
        verify = await tls_context() if urlsplit(self._url).scheme == "https" else False
        headers = {"User-Agent": f"streamapp/{__version__}", "Content-Type": "application/json"}
        async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=self._timeout_s, headers=headers) as http:
            yield _Poster(http, self._post)

    async def _post(self, http: httpx.AsyncClient, message: EventMessage) -> None:
        body = WebhookBody.of(message).model_dump_json().encode()
        now_s = int(self._clock())
        headers = {
            "webhook-id": str(message.id),
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._key, str(message.id), now_s, body),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_s),  # httpx's own are for each read, and an answer may drip
                http.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                status, retry_after = response.status_code, response.headers.get("retry-after", "")
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DeliveryFailed(f"no answer within {self._timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its text may have the address, which may have a token in it.
            raise DeliveryFailed(f"no connection, or one that broke ({type(error).__name__})") from error
        if 200 <= status < 300:
            return
        if status == _GONE:
            raise TargetGone("it answered 410: it wants no more events")
        if status in _REFUSALS:
            raise DeliveryRefused(f"it answered {status}")
        raise DeliveryFailed(f"it answered {status}", float(retry_after[:9]) if retry_after.isdecimal() else 0.0)


class _Poster:
    """A Link. Only sending tells whether anybody is there."""

    def __init__(
        self, http: httpx.AsyncClient, post: Callable[[httpx.AsyncClient, EventMessage], Awaitable[None]]
    ) -> None:
        self._http = http
        self._post = post

    async def greet(self) -> bool:
        return False

    async def watch(self) -> None:
        return

    async def send(self, message: EventMessage) -> None:
        await self._post(self._http, message)
