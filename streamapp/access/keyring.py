"""The tokens as a running server knows them: looked up, followed as the file changes, ended when they are revoked."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable

from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import Scope, Token, digest
from streamapp.errors import TokensUnusable

_log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 1.0


class Grant:
    """What the bearer of one token may do, until the token is revoked or expires."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.has_ended = False
        self._on_end: dict[object, Callable[[], None]] = {}

    def may(self, scope: Scope) -> bool:
        return scope in self.token.scopes and not self.has_ended

    def on_end(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls `call` once when this ends, at once if it has. Returns what takes that back."""
        key = object()
        if self.has_ended:
            call()
        else:
            self._on_end[key] = call
        return lambda: self._on_end.pop(key, None) and None

    def end(self) -> None:
        self.has_ended = True
        for call in tuple(self._on_end.values()):
            call()
        self._on_end.clear()


class Keyring:
    """All grants. Once a file of tokens was seen, a token is needed for as long as the process lives, also if the file
    is gone or damaged later: then nobody comes in."""

    def __init__(self, file: TokenFile, clock: Callable[[], float] = time.time) -> None:
        self.requires_tokens = False
        self._file = file
        self._clock = clock
        self._grants: dict[Token, Grant] = {}
        self._version: tuple[int, ...] | None = None
        self._looking = asyncio.Lock()
        self._fault: str | None = None

    def load(self) -> None:
        """Reads the file. Raises TokensUnusable."""
        self._version = self._file.version()
        self._take(self._file.read())

    async def follow(self) -> None:
        """Takes over changes of the file within a second or so, and ends what has expired. Runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """Takes over a change of the file, and ends what has expired."""
        async with self._looking:
            await self._look()

    @property
    def valid_count(self) -> int:
        now = self._clock()
        return sum(not token.has_expired(now) for token in self._grants)

    async def find(self, secret: str) -> Grant | None:
        """The grant of a secret, which may have expired. Looks at the file before it knows none: a token is good from
        the moment it is made."""
        grant = self._held(secret)
        if grant is None and self.requires_tokens:
            await self.look()
            grant = self._held(secret)
        return grant

    async def _look(self) -> None:
        try:
            version = await asyncio.to_thread(self._file.version)
            if version != self._version:
                self._version = version
                self._take(await asyncio.to_thread(self._file.read))
                _log.info("tokens: %d are valid", self.valid_count)
            self._fault = None
        except TokensUnusable as error:
            self._take(())
            if self._fault != str(error):
                self._fault = str(error)
                _log.error("nobody is let in: %s", error)
        for grant in self._grants.values():
            if not grant.has_ended and grant.token.has_expired(self._clock()):
                grant.end()

    def _held(self, secret: str) -> Grant | None:
        """All are compared, whichever it is."""
        wanted, found = digest(secret), None
        for token, grant in self._grants.items():
            if hmac.compare_digest(token.digest, wanted):
                found = grant
        return found

    def has_expired(self, grant: Grant) -> bool:
        return grant.token.has_expired(self._clock())

    def _take(self, tokens: tuple[Token, ...] | None) -> None:
        if tokens is None and not self.requires_tokens:
            return
        self.requires_tokens = True
        before, now = self._grants, tokens or ()
        self._grants = {token: before.get(token) or Grant(token) for token in now}
        for token, grant in before.items():
            if token not in self._grants:
                grant.end()
