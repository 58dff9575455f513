"""The file of tokens: private, whole, and refused when it is not."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamapp.access.token_file import MAX_BYTES, TokenFile
from streamapp.access.tokens import Scope, Token, new_token
from streamapp.errors import Conflict, NotFound, TokensUnusable


def made(name: str = "phone") -> Token:
    return new_token(name, frozenset({Scope.VIEW, Scope.OPERATE}), now=100.0, lifetime_s=60)[0]


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "keys" / "tokens.json")


def test_what_was_added_is_read_and_only_its_owner_can(file: TokenFile) -> None:
    assert file.read() is None
    assert file.version() is None
    token, other = made(), made("tablet")
    file.add(token)
    before = file.version()
    file.add(other)
    assert file.read() == (token, other)
    assert file.version() != before
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_the_secret_is_not_in_it(file: TokenFile) -> None:
    token, secret = new_token("phone", frozenset({Scope.VIEW}), now=1.0, lifetime_s=None)
    file.add(token)
    assert secret not in file.path.read_text()


def test_tokens_go_by_name_or_by_id(file: TokenFile) -> None:
    token, other = made(), made("tablet")
    file.add(token)
    file.add(other)
    assert file.remove("phone") == token
    assert file.remove(other.id) == other
    assert file.read() == ()
    with pytest.raises(NotFound, match="token list"):
        file.remove("phone")


def test_a_name_is_taken_once(file: TokenFile) -> None:
    file.add(made())
    with pytest.raises(Conflict, match="phone"):
        file.add(made())


def test_changes_at_once_all_count(file: TokenFile) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: file.add(made(f"t{number}")), range(24)))
    assert {token.name for token in file.read() or ()} == {f"t{number}" for number in range(24)}
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_one_that_others_can_read_is_refused(file: TokenFile, mode: int) -> None:
    file.add(made())
    file.path.chmod(mode)
    with pytest.raises(TokensUnusable, match="chmod 600"):
        file.read()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[]", b"\xff\x00", b'{"version": 2, "tokens": []}', b'{"version": 1, "tokens": [{}]}'),
        b'{"version": 1, "tokens": [], "more": 1}',
        b'{"version": 1, "tokens": []}' + b" " * MAX_BYTES,
        b'{"version":1,"tokens":[{"id":"a","name":"b","scopes":["root"],"sha256":"00","created_at":0,"expires_at":null}]}',
    ],
)
def test_one_that_is_damaged_is_refused_and_left_alone(file: TokenFile, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    with pytest.raises(TokensUnusable, match="is not a file of tokens"):
        file.read()
    with pytest.raises(TokensUnusable):
        file.add(made())
    assert file.path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("not a folder")
    with pytest.raises(TokensUnusable, match="cannot be"):
        TokenFile(tmp_path / "keys" / "tokens.json").add(made())
