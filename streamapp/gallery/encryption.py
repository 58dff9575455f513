"""AES-256-GCM (NIST SP 800-38D): a key per person, wrapped by a master key in a file outside the database.

Nothing of a person can be read without both. Erasing the wrapped key erases the person, also where copies of the rest
survive. Each ciphertext is bound to the person and to its field: one moved elsewhere does not open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streamapp.errors import GalleryUnusable

KEY_BYTES = 32
NONCE_BYTES = 12
_HEADER = "streamapp gallery key 1"


class Key:
    """Seals and opens. Its text forms do not show it."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def seal(self, plain: bytes, context: str) -> bytes:
        """A random nonce and the ciphertext. `context` must be the same to open it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises GalleryUnusable if it was changed, or sealed with another key or context."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise GalleryUnusable(f"{context}: damaged, or encrypted with another key") from error

    def new_person_key(self, person_id: UUID) -> tuple[Key, bytes]:
        """A fresh key, and its wrapped form for the database. Call on the master key."""
        secret = secrets.token_bytes(KEY_BYTES)
        return Key(secret), self.seal(secret, f"{person_id}/key")

    def person_key(self, wrapped: bytes, person_id: UUID) -> Key:
        """Raises GalleryUnusable. Call on the master key."""
        return Key(self.open(wrapped, f"{person_id}/key"))


def load_master_key(path: Path) -> Key:
    """Raises GalleryUnusable if it is not there, not a key, or readable by others."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text("ascii").split("\n")
    except (OSError, UnicodeError) as error:
        raise GalleryUnusable(f"the gallery's key {path} cannot be read: {error}") from error
    if mode & 0o077:
        raise GalleryUnusable(f"the gallery's key {path} can be read by others; run `chmod 600 {path}`")
    secret = b""
    if lines[0] == _HEADER:
        with contextlib.suppress(binascii.Error, IndexError):
            secret = base64.b64decode(lines[1], validate=True)
    if len(secret) != KEY_BYTES:
        raise GalleryUnusable(f"{path} is not a key of a gallery")
    return Key(secret)


def create_master_key(path: Path) -> Key:
    """Makes the file, readable by its owner only, whole or not at all; one that is there is used. Raises
    GalleryUnusable."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    text = f"{_HEADER}\n{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
        partial.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise GalleryUnusable(f"the gallery's key {path} cannot be made: {error}") from error
    return load_master_key(path)
