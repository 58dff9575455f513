"""What a token is, and what is kept of it."""

from __future__ import annotations

import base64
import hashlib

import pytest

from streamapp.access.tokens import PREFIX, Scope, digest, new_token, scopes_in, seconds_in
from streamapp.errors import UsageError

VIEW = frozenset({Scope.VIEW})


def test_a_secret_is_256_random_bits_and_not_kept() -> None:
    token, secret = new_token("phone", VIEW, now=100.0, lifetime_s=None)
    assert len(base64.urlsafe_b64decode(secret.removeprefix(PREFIX) + "=")) == 32
    assert secret not in repr(token)
    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert new_token("phone", VIEW, now=100.0, lifetime_s=None)[1] != secret


def test_a_token_is_over_when_its_time_has_come() -> None:
    token, _ = new_token("phone", VIEW, now=100.0, lifetime_s=60)
    assert not token.has_expired(159.9)
    assert token.has_expired(160.0)
    assert not new_token("phone", VIEW, now=100.0, lifetime_s=None)[0].has_expired(1e12)


@pytest.mark.parametrize("name", ["", "a b", "-x", "x\n", "../x", "x" * 65, "<b>", "\x1b[31m"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(UsageError, match="names of tokens"):
        new_token(name, VIEW, now=0, lifetime_s=None)


def test_a_token_without_a_scope_is_none() -> None:
    with pytest.raises(UsageError, match="scope"):
        new_token("x", frozenset(), now=0, lifetime_s=None)


def test_scopes_are_read_from_a_list() -> None:
    assert scopes_in("view, operate") == {Scope.VIEW, Scope.OPERATE}
    for wrong in ("", "admin", "view,", "VIEW"):
        with pytest.raises(UsageError, match="view, operate, gallery, metrics"):
            scopes_in(wrong)


def test_lifetimes_are_read_with_their_unit() -> None:
    assert [seconds_in(text) for text in ("5m", "12h", "30d", "2w")] == [300, 43_200, 2_592_000, 1_209_600]
    for wrong in ("", "0d", "30", "d", "-1d", "1.5h", "1y", "999999d"):
        with pytest.raises(UsageError, match="30d"):
            seconds_in(wrong)


def test_any_text_has_a_digest() -> None:
    assert len({digest(text) for text in ("", "ä", "\ud800", "x" * 10_000)}) == 4
