"""A copy of the gallery elsewhere: told the same, it answers the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from streamapp.gallery.changes import Snapshot, Updated
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.replica import PIECE, Copied, GalleryReplica
from tests.gallery.enrolments import FUSION, NOW
from tests.gallery.test_index import template


@pytest.fixture
async def replica() -> AsyncIterator[GalleryReplica]:
    async with GalleryReplica.start() as found:
        yield found


def tell(replica: GalleryReplica, snapshot: Snapshot) -> None:
    for piece in Copied.pieces(FUSION, snapshot):
        replica.hear(piece)


async def test_it_answers_as_the_gallery_does_whatever_changes(replica: GalleryReplica) -> None:
    people = [template(number) for number in range(5)]
    index = GalleryIndex(FUSION, people, 7)
    tell(replica, Snapshot(7, tuple(people)))
    changes = [
        Updated(8, people[1].person_id, None),
        Updated(9, people[2].person_id, replace(people[2], embeddings=people[4].embeddings)),
        Updated(10, uuid4(), None),
    ]
    for change in changes:
        replica.hear(change)
        if change.template is None:
            index.remove(change.person_id, change.version)
        else:
            index.put(change.template, change.version)
    await replica.settled()
    assert replica.version == 10
    for person in people:
        probe = person.embeddings
        assert await replica.search(probe, 3, NOW) == index.search(probe, 3, NOW)


async def test_without_a_copy_it_says_so(replica: GalleryReplica) -> None:
    replica.hear(Updated(3, uuid4(), None))
    await replica.settled()
    assert replica.version is None
    assert await replica.search(template(0).embeddings, 3, NOW) is None


async def test_a_gallery_of_several_pieces_is_searched_once_all_of_them_are_there(replica: GalleryReplica) -> None:
    people = tuple(template(number) for number in range(PIECE + 3))
    first, second = Copied.pieces(FUSION, Snapshot(1, people))
    replica.hear(first)
    await replica.settled()
    assert await replica.search(people[0].embeddings, 1, NOW) is None, "who is not there yet would be unknown"
    replica.hear(second)
    await replica.settled()
    for person in (people[0], people[-1]):
        found = await replica.search(person.embeddings, 1, NOW)
        assert found is not None
        assert (found.matches[0].person_id, found.people) == (person.person_id, PIECE + 3)


async def test_a_new_beginning_forgets_what_was(replica: GalleryReplica) -> None:
    people = [template(number) for number in range(3)]
    tell(replica, Snapshot(1, tuple(people)))
    await replica.settled()
    tell(replica, Snapshot(2, ()))
    assert replica.version is None, "not even until the new one is there"
    await replica.settled()
    found = await replica.search(people[0].embeddings, 1, NOW)
    assert found is not None
    assert (found.matches, found.people, found.version) == ((), 0, 2)
