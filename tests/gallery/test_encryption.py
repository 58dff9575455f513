"""Keys: made once, for their owner only, and nothing opens with the wrong one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from streamapp.errors import GalleryUnusable
from streamapp.gallery.encryption import Key, create_master_key, load_master_key

SECRET = bytes(range(32))


def test_what_was_sealed_opens_and_hides_what_it_is() -> None:
    key = Key(SECRET)
    sealed = key.seal(b"Ada Lovelace", "context")
    assert key.open(sealed, "context") == b"Ada Lovelace"
    assert b"Ada" not in sealed
    assert key.seal(b"Ada Lovelace", "context") != sealed


@pytest.mark.parametrize("place", [0, 11, 12, 20, -1])
def test_one_changed_bit_is_noticed(place: int) -> None:
    sealed = bytearray(Key(SECRET).seal(b"Ada Lovelace", "context"))
    sealed[place] ^= 1
    with pytest.raises(GalleryUnusable, match="context"):
        Key(SECRET).open(bytes(sealed), "context")


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(28)])
def test_what_is_no_ciphertext_is_refused(sealed: bytes) -> None:
    with pytest.raises(GalleryUnusable):
        Key(SECRET).open(sealed, "context")


def test_another_key_or_context_does_not_open() -> None:
    sealed = Key(SECRET).seal(b"Ada", "person/a")
    with pytest.raises(GalleryUnusable):
        Key(SECRET).open(sealed, "person/b")
    with pytest.raises(GalleryUnusable):
        Key(bytes(32)).open(sealed, "person/a")


def test_a_persons_key_is_theirs_alone() -> None:
    master, ada, grace = Key(SECRET), uuid4(), uuid4()
    key, wrapped = master.new_person_key(ada)
    sealed = key.seal(b"data", "x")
    assert master.person_key(wrapped, ada).open(sealed, "x") == b"data"
    with pytest.raises(GalleryUnusable):
        master.person_key(wrapped, grace)
    other, _ = master.new_person_key(grace)
    with pytest.raises(GalleryUnusable):
        other.open(sealed, "x")


def test_the_master_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "gallery.key"
    sealed = create_master_key(path).seal(b"x", "c")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    before = path.read_bytes()
    assert create_master_key(path).open(sealed, "c") == b"x"
    assert load_master_key(path).open(sealed, "c") == b"x"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    create_master_key(path)
    path.chmod(0o640)
    with pytest.raises(GalleryUnusable, match="chmod 600"):
        load_master_key(path)


@pytest.mark.parametrize("text", ["", "hello\n", "streamapp gallery key 1\n", "streamapp gallery key 1\nAAAA\n", "é"])
def test_what_is_no_key_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gallery.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(GalleryUnusable, match=r"gallery\.key"):
        load_master_key(path)
    with pytest.raises(GalleryUnusable, match=r"gallery\.key"):
        create_master_key(path)
    assert path.read_text() == text


def test_a_key_is_not_shown() -> None:
    assert SECRET.hex() not in repr(Key(SECRET))
    assert str(SECRET) not in repr(Key(SECRET))
