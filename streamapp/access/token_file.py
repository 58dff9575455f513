"""The file of tokens: JSON, readable by its owner only, replaced as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamapp.access.tokens import Scope, Token
from streamapp.errors import Conflict, NotFound, TokensUnusable

MAX_TOKENS = 1000
MAX_BYTES = 1_000_000


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    scopes: Annotated[list[Scope], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created_at: float
    expires_at: float | None


class _Contents(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    tokens: Annotated[list[_Entry], Field(max_length=MAX_TOKENS)]


class TokenFile:
    """Reads and changes the file. Changes by several programs at once happen one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> tuple[int, ...] | None:
        """Differs whenever the file does; None while there is none. Raises TokensUnusable."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokensUnusable(f"the tokens in {self.path} cannot be read: {error.strerror}") from error
        return (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)

    def read(self) -> tuple[Token, ...] | None:
        """All tokens, expired ones too; None if there is no file. Raises TokensUnusable."""
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokensUnusable(f"the tokens in {self.path} cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise TokensUnusable(f"the tokens in {self.path} can be read by others; run `chmod 600 {self.path}`")
        try:
            if len(content) > MAX_BYTES:
                raise ValueError
            entries = _Contents.model_validate_json(content).tokens
        except (ValidationError, ValueError):
            raise TokensUnusable(
                f"{self.path} is not a file of tokens of this version; move it away and create new ones"
            ) from None
        return tuple(
            Token(entry.id, entry.name, frozenset(entry.scopes), entry.sha256, entry.created_at, entry.expires_at)
            for entry in entries
        )

    def add(self, token: Token) -> None:
        """Raises TokensUnusable, and Conflict for a name that is taken or one token too many."""
        with self._changing() as tokens:
            if any(known.name == token.name for known in tokens):
                raise Conflict(f"there is a token named {token.name}; choose another name or revoke it first")
            if len(tokens) >= MAX_TOKENS:
                raise Conflict(f"{MAX_TOKENS} tokens are the limit; revoke some first")
            tokens.append(token)

    def remove(self, name_or_id: str) -> Token:
        """Raises TokensUnusable, NotFound."""
        with self._changing() as tokens:
            for token in tokens:
                if name_or_id in (token.name, token.id):
                    tokens.remove(token)
                    return token
            raise NotFound(f"there is no token named {name_or_id[:64]!r}; `streamapp token list` shows them")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """The tokens as a list; what the block leaves in it is written, unless it raises."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                tokens = list(self.read() or ())
                yield tokens
                self._write(tokens)
        except OSError as error:
            raise TokensUnusable(f"the tokens in {self.path} cannot be written: {error.strerror}") from error

    def _write(self, tokens: list[Token]) -> None:
        entries = [
            _Entry(
                id=token.id,
                name=token.name,
                scopes=sorted(token.scopes),
                sha256=token.digest,
                created_at=token.created_at,
                expires_at=token.expires_at,
            )
            for token in tokens
        ]
        write_private(self.path, _Contents(version=1, tokens=entries).model_dump_json(indent=1).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file as a whole, readable by its owner only. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
