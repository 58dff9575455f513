"""`streamapp token`: made, listed, revoked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import Scope, digest
from streamapp.cli import app
from streamapp.errors import Conflict, NotFound, UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["token", *arguments], catch_exceptions=False, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout, done.stderr


def test_a_token_is_shown_once_alone_on_standard_output(kept_elsewhere: Path) -> None:
    stdout, stderr = run("create", "--name", "phone", "--scope", "view,gallery", "--expires", "30d")
    secret = stdout.removesuffix("\n")
    assert re.fullmatch(r"sapp_[A-Za-z0-9_-]{43}", secret)
    assert secret not in stderr
    (token,) = TokenFile(kept_elsewhere / "tokens.json").read() or ()
    assert token.digest == digest(secret)
    assert token.scopes == {Scope.VIEW, Scope.GALLERY}
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == 30 * 86_400
    listed = run("list")[0]
    assert "phone" in listed
    assert "gallery, view" in listed
    assert secret not in listed
    assert token.digest not in listed


def test_a_page_can_be_used_with_what_a_token_is_for_by_default(kept_elsewhere: Path) -> None:
    run("create", "--name", "phone")
    (token,) = TokenFile(kept_elsewhere / "tokens.json").read() or ()
    assert token.scopes == {Scope.VIEW, Scope.OPERATE}
    assert token.expires_at is None


def test_a_revoked_token_is_gone(kept_elsewhere: Path) -> None:
    run("create", "--name", "phone")
    assert "phone is revoked" in run("revoke", "phone")[0]
    assert TokenFile(kept_elsewhere / "tokens.json").read() == ()
    with pytest.raises(NotFound):
        run("revoke", "phone")


def test_what_makes_no_sense_is_refused() -> None:
    run("create", "--name", "phone")
    with pytest.raises(Conflict):
        run("create", "--name", "phone")
    for wrong in (("--name", "a b"), ("--name", "x", "--scope", "root"), ("--name", "x", "--expires", "soon")):
        with pytest.raises(UsageError):
            run("create", *wrong)
