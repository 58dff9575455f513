"""Tokens: what somebody may do, proven by a secret that nobody can guess."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from streamapp.errors import UsageError

PREFIX = "sapp_"
"""Of every secret: whatever looks so is kept out of logs."""
SECRET_BYTES = 32
MAX_SECRET_CHARACTERS = 128
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_LIFETIME = re.compile(r"(\d{1,5})([mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Scope(StrEnum):
    """What a token is good for. None of them includes another."""

    VIEW = "view"
    """The pages; streams, events and recordings, to look at."""
    OPERATE = "operate"
    """Publish a camera; add, change and remove streams and recordings; have pictures analysed."""
    GALLERY = "gallery"
    """Everything about the people who are recognised."""
    METRICS = "metrics"
    """The figures for Prometheus."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: enough to recognise it, not enough to use it."""

    id: str
    name: str
    scopes: frozenset[Scope]
    digest: str
    """SHA-256 of the secret, in hexadecimal. A slow hash would add nothing: the secret is 256 random bits, and nobody
    tries them all."""
    created_at: float
    """Unix time in seconds, as `expires_at`."""
    expires_at: float | None

    def has_expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at


def new_token(name: str, scopes: frozenset[Scope], *, now: float, lifetime_s: float | None) -> tuple[Token, str]:
    """A new token and its secret, which is kept nowhere. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError("names of tokens are 1 to 64 letters, digits, '.', '-' and '_'")
    if not scopes:
        raise UsageError(f"give at least one scope of {', '.join(Scope)}")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    expires_at = None if lifetime_s is None else now + lifetime_s
    return Token(secrets.token_hex(4), name, scopes, digest(secret), now, expires_at), secret


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def scopes_in(text: str) -> frozenset[Scope]:
    """`view,operate` as scopes. Raises UsageError."""
    try:
        return frozenset(Scope(name.strip()) for name in text.split(","))
    except ValueError:
        raise UsageError(f"scopes are {', '.join(Scope)}, several with commas") from None


def seconds_in(text: str) -> float:
    """`30d` in seconds. Raises UsageError."""
    match = _LIFETIME.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise UsageError("a lifetime is a number and m, h, d or w: 12h, 30d")
    return float(int(match[1]) * _UNIT_S[match[2]])
