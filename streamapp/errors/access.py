"""Who may not come in, and why."""

from __future__ import annotations

from streamapp.errors.base import StreamappError, UsageError
from streamapp.errors.requests import Overloaded


class TokenMissing(UsageError):
    """The request has no token, and needs one."""

    code = "token_missing"
    http_status = 401


class TokenInvalid(UsageError):
    """The token is not known, was revoked, or has expired."""

    code = "token_invalid"
    http_status = 401


class ScopeMissing(UsageError):
    """The token is valid, and not for this."""

    code = "scope_missing"
    http_status = 403


class LockedOut(Overloaded):
    """Too many wrong tokens came from this address; `retry_after_s` says when one is looked at again."""

    code = "locked_out"
    http_status = 429


class TokensUnusable(StreamappError):
    """The file of tokens is damaged, of another version, or can be read by others."""

    code = "tokens_unusable"
