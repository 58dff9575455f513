"""The tokens as a running server knows them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import Scope, new_token
from streamapp.errors import TokensUnusable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def put(file: TokenFile, name: str = "phone", lifetime_s: float | None = None) -> str:
    token, secret = new_token(name, frozenset({Scope.VIEW}), now=1000.0, lifetime_s=lifetime_s)
    file.add(token)
    return secret


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


def loaded(file: TokenFile, clock: Clock | None = None) -> Keyring:
    keyring = Keyring(file, clock or Clock())
    keyring.load()
    return keyring


async def test_without_a_file_none_is_needed(file: TokenFile) -> None:
    keyring = loaded(file)
    assert not keyring.requires_tokens
    assert keyring.valid_count == 0
    assert await keyring.find("anything") is None


async def test_a_secret_is_found_and_nothing_like_it(file: TokenFile) -> None:
    secret, other = put(file), put(file, "tablet")
    keyring = loaded(file)
    grant = await keyring.find(secret)
    assert grant is not None
    assert grant.token.name == "phone"
    assert grant.may(Scope.VIEW)
    assert not grant.may(Scope.GALLERY)
    assert await keyring.find(other) is not grant
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), grant.token.digest, grant.token.id):
        assert await keyring.find(wrong) is None


async def test_a_token_is_good_from_the_moment_it_is_made(file: TokenFile) -> None:
    put(file)
    keyring = loaded(file)
    secret = put(file, "tablet")
    found = await asyncio.gather(*(keyring.find(secret) for _ in range(8)))
    assert {grant.token.name for grant in found if grant} == {"tablet"}
    assert all(found)


async def test_a_token_made_later_is_taken_over_and_closes_an_open_server(file: TokenFile) -> None:
    keyring = loaded(file)
    secret = put(file)
    await keyring.look()
    assert keyring.requires_tokens
    assert await keyring.find(secret) is not None


async def test_a_revoked_token_ends_once_and_others_go_on(file: TokenFile) -> None:
    secret, other = put(file), put(file, "tablet")
    keyring = loaded(file)
    grant, kept = await keyring.find(secret), await keyring.find(other)
    assert grant is not None
    assert kept is not None
    ends: list[str] = []
    grant.on_end(lambda: ends.append("a"))
    take_back = grant.on_end(lambda: ends.append("b"))
    take_back()
    kept.on_end(lambda: ends.append("kept"))
    file.remove("phone")
    await keyring.look()
    await keyring.look()
    assert ends == ["a"]
    assert await keyring.find(secret) is None
    assert await keyring.find(other) is kept
    assert not grant.may(Scope.VIEW)
    grant.on_end(lambda: ends.append("late"))
    assert ends == ["a", "late"]


async def test_a_token_ends_when_its_time_has_come(file: TokenFile) -> None:
    clock = Clock()
    secret = put(file, lifetime_s=60)
    keyring = loaded(file, clock)
    grant = await keyring.find(secret)
    assert grant is not None
    ends: list[str] = []
    grant.on_end(lambda: ends.append("over"))
    await keyring.look()
    assert (keyring.valid_count, ends) == (1, [])
    clock.now = 1060.0
    assert keyring.has_expired(grant)
    await keyring.look()
    assert (keyring.valid_count, ends) == (0, ["over"])


async def test_a_file_that_is_gone_or_damaged_lets_nobody_in(file: TokenFile, caplog: pytest.LogCaptureFixture) -> None:
    secret = put(file)
    keyring = loaded(file)
    kept = file.path.read_bytes()
    file.path.write_bytes(b"damaged")
    for _ in range(3):
        await keyring.look()
    assert await keyring.find(secret) is None
    assert keyring.requires_tokens
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    file.path.write_bytes(kept)
    await keyring.look()
    assert await keyring.find(secret) is not None
    file.path.unlink()
    await keyring.look()
    assert await keyring.find(secret) is None
    assert keyring.requires_tokens


def test_a_damaged_file_at_the_start_is_an_error(file: TokenFile) -> None:
    file.path.write_bytes(b"{}")
    file.path.chmod(0o600)
    with pytest.raises(TokensUnusable):
        loaded(file)
