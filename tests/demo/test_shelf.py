"""What is handed in on the demo page is private, bounded in number, size and time, and known by tokens only."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.demo.shelf import MAX_FILES, Item, Kind, Shelf
from streamapp.errors import NotFound, Overloaded


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf(tmp_path: Path, clock: Clock) -> Shelf:
    return Shelf(tmp_path, max_bytes=1000, kept_s=60, clock=clock)


def put(shelf: Shelf, size_bytes: int = 10, kind: Kind = Kind.PICTURE) -> Item:
    path = shelf.place(kind)
    path.write_bytes(bytes(size_bytes))
    return shelf.put(kind, path)


def test_a_file_is_found_by_its_token_and_kind_only(shelf: Shelf) -> None:
    item = put(shelf)
    assert shelf.find(item.token, Kind.PICTURE) == item
    for token, kind in ((item.token, Kind.CLIP), (str(item.path), Kind.PICTURE), (item.path.name, Kind.PICTURE)):
        with pytest.raises(NotFound):
            shelf.find(token, kind)


def test_tokens_and_names_cannot_be_guessed_from_each_other(shelf: Shelf) -> None:
    items = [put(shelf) for _ in range(5)]
    assert len({item.token for item in items}) == 5
    assert all(len(item.token) >= 32 and item.path.name not in item.token for item in items)


def test_files_go_after_their_time(shelf: Shelf, clock: Clock) -> None:
    item = put(shelf)
    clock.now_s += 59
    assert shelf.find(item.token, Kind.PICTURE)
    clock.now_s += 2
    with pytest.raises(NotFound):
        shelf.find(item.token, Kind.PICTURE)
    assert not item.path.exists()


def test_the_oldest_make_room(shelf: Shelf) -> None:
    first, second, third = (put(shelf, 400) for _ in range(3))
    assert shelf.items == (second, third)
    assert not first.path.exists()
    for _ in range(MAX_FILES):
        put(shelf, 1)
    assert len(shelf.items) == MAX_FILES


def test_a_file_larger_than_all_the_room_is_refused_and_removed(shelf: Shelf, tmp_path: Path) -> None:
    kept = put(shelf, 400)
    with pytest.raises(Overloaded):
        put(shelf, 1001)
    assert [path.name for path in tmp_path.iterdir()] == [kept.path.name]


async def test_the_folder_is_private_and_gone_in_the_end() -> None:
    async with Shelf.open(max_bytes=1000, kept_s=60) as shelf:
        assert shelf.folder.stat().st_mode & 0o777 == 0o700
        put(shelf)
    assert not shelf.folder.exists()
