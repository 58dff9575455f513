"""The gallery as the app uses it: the store, and what searches it. Changes reach the store first, then the index."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from streamapp.choices import GalleryBackend
from streamapp.errors import NotFound, UsageError
from streamapp.findings import Embedding
from streamapp.gallery.changes import Change, Erasure, Export, Retention, Snapshot, Swept, Updated
from streamapp.gallery.database import Database
from streamapp.gallery.fusion import Fusion
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.index import GalleryIndex
from streamapp.gallery.people import Enrolment, Person, PersonRecord, Rejection, Sample, Template
from streamapp.gallery.pgvector import VectorTable
from streamapp.gallery.search import SearchResult, problem_of, ranked
from streamapp.gallery.sqlite_store import SqliteDatabase
from streamapp.gallery.store import GalleryStore
from streamapp.gallery_settings import GallerySettings

_DAY_S = 86400.0
_DATABASE_CANDIDATES = 100
"""So many people the database finds for each model; they are then ranked as in memory."""


def store_of(settings: GallerySettings) -> GalleryStore:
    """As the settings say, not yet open. Raises UsageError if they do not fit together, or psycopg is not installed."""
    if settings.backend is GalleryBackend.SQLITE:
        if settings.pgvector:
            raise UsageError("gallery.pgvector needs gallery.backend = postgres")
        return GalleryStore(SqliteDatabase(settings.file, settings.busy_timeout_s), settings.key_file)
    if settings.postgres_url is None:
        raise UsageError("gallery.backend = postgres needs gallery.postgres_url")
    try:
        module = importlib.import_module("streamapp.gallery.postgres_store")
    except ImportError as error:
        raise UsageError(f"PostgreSQL needs psycopg: pip install 'streamapp[postgres]' ({error})") from error
    database: Database = module.PostgresDatabase(settings.postgres_url.get_secret_value(), settings.busy_timeout_s)
    return GalleryStore(database, settings.key_file, VectorTable() if settings.pgvector else None)


def retention_of(settings: GallerySettings) -> Retention:
    return Retention(settings.max_unseen_days * _DAY_S, settings.rejected_faces_days * _DAY_S)


def vote_rules_of(settings: GallerySettings) -> VoteRules:
    """Raises UsageError for settings that make no sense together."""
    return VoteRules(
        false_match_rate=settings.false_match_rate,
        min_margin=settings.min_margin,
        max_attempts=settings.max_attempts,
        identify_spoofs=settings.identify_spoofs,
    )


class Gallery:
    """Open before use. Times are Unix time in seconds; errors are the store's.

    A gallery that was never used is not made by opening it but by the first enrolment."""

    def __init__(self, store: GalleryStore, fusion: Fusion, settings: GallerySettings) -> None:
        self.store = store
        self._fusion = fusion
        self._settings = settings
        self._index = GalleryIndex(fusion)
        self._changing = asyncio.Lock()
        self._names: dict[UUID, str] = {}
        self._is_open = False
        self._erasure_watchers: list[Callable[[UUID], None]] = []
        self._enrolment_watchers: list[Callable[[], None]] = []
        self._name_watchers: list[Callable[[UUID, str | None], None]] = []
        self._followers: list[Callable[[Snapshot | Updated], None]] = []

    async def open(self, now: float) -> None:
        """Reads everybody into memory, unless the database searches."""
        if self._settings.backend is GalleryBackend.POSTGRES or self._settings.file.exists():
            await self._open(now)

    async def _open(self, now: float) -> None:
        await self.store.open(now)
        self._is_open = True
        for person in await self.store.people():
            self._call(person.id, person.name)
        if not self._settings.pgvector:
            snapshot = await self.store.snapshot()
            self._index = await asyncio.to_thread(GalleryIndex, self._fusion, snapshot.templates, snapshot.version)
            self._tell_followers(snapshot)

    async def close(self) -> None:
        await self.store.close()

    @property
    def fusion(self) -> Fusion:
        """How two faces are compared."""
        return self._fusion

    @property
    def count(self) -> int:
        """How many people there are."""
        return len(self._names)

    @property
    def version(self) -> int:
        """Of what searches see now; every change has a higher one."""
        return self._index.version

    def name(self, person_id: UUID) -> str | None:
        """None for somebody who is not, or no longer, in the gallery."""
        return self._names.get(person_id)

    def watch_erasures(self, watcher: Callable[[UUID], None]) -> None:
        """Calls `watcher` for everybody who is erased, so that nothing of them stays anywhere."""
        self._erasure_watchers.append(watcher)

    def watch_enrolments(self, watcher: Callable[[], None]) -> None:
        """Calls `watcher` whenever there is somebody, or a look of somebody, that faces were not compared with yet."""
        self._enrolment_watchers.append(watcher)

    def watch_names(self, watcher: Callable[[UUID, str | None], None]) -> None:
        """Calls `watcher` with everybody's name, now and whenever it changes; None for those who are erased."""
        self._name_watchers.append(watcher)
        for person_id, name in self._names.items():
            watcher(person_id, name)

    def follow(self, follower: Callable[[Snapshot | Updated], None]) -> None:
        """Calls `follower` with all that a copy of what is searched needs to stay true, in order. Nothing is said where
        the database searches."""
        self._followers.append(follower)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Snapshot | None]:
        """What is searched, which nobody changes for the length of the block; None where the database searches."""
        async with self._changing:
            if self._settings.pgvector:
                yield None
            else:
                yield await self.store.snapshot() if self._is_open else Snapshot(0, ())

    async def people(self, offset: int, count: int) -> tuple[Person, ...]:
        """In the order they were enrolled in; `count` of them, without the first `offset`."""
        return await self.store.people(offset, count) if self._is_open else ()

    async def record(self, person_id: UUID) -> PersonRecord:
        """Raises NotFound."""
        return await self._opened(person_id).record(person_id)

    async def export(self, person_id: UUID, *, actor: str, now: float) -> Export:
        """Everything about one person; that it was asked for is logged. Raises NotFound."""
        return await self._opened(person_id).export(person_id, actor=actor, now=now)

    async def saw(self, seen_at: Mapping[UUID, float]) -> None:
        """When people were last seen, for the retention job."""
        if self._is_open:
            await self.store.saw(seen_at)

    async def search(self, probe: Mapping[str, Embedding], count: int, now: float) -> SearchResult:
        """The people most like a face, by its embeddings under the names of the models."""
        if not self._settings.pgvector:
            return await asyncio.to_thread(self._index.search, probe, count, now)
        members = {member.model for member in self._fusion.members}
        probe = {model: embedding for model, embedding in probe.items() if model in members}
        problem = problem_of(probe, self._fusion)
        found = await self.store.nearest(probe if problem is None else {}, max(count, _DATABASE_CANDIDATES), now)
        matches, vetoed = ranked(probe, found.cosines.items(), found.rejected, self._fusion, count)
        return SearchResult(matches, found.people, found.version, vetoed, problem)

    async def enroll(self, enrolment: Enrolment, *, actor: str, now: float) -> Person:
        async with self._changing:
            if not self._is_open:
                await self._open(now)
            return await self._took(await self.store.enroll(enrolment, actor=actor, now=now))

    async def add_samples(self, person_id: UUID, samples: tuple[Sample, ...], *, actor: str, now: float) -> Person:
        async with self._changing:
            return await self._took(await self._opened(person_id).add_samples(person_id, samples, actor=actor, now=now))

    async def reject(self, person_id: UUID, rejection: Rejection, *, actor: str) -> Person:
        """This face is not that person. Its looks are kept only where the settings allow it."""
        if not self._settings.keep_rejected_faces:
            rejection = Rejection(rejection.stream, rejection.track, rejection.rejected_at, None)
        async with self._changing:
            return await self._took(await self._opened(person_id).reject(person_id, rejection, actor=actor))

    async def rename(self, person_id: UUID, name: str, *, actor: str, now: float) -> Person:
        async with self._changing:
            person = await self._opened(person_id).rename(person_id, name, actor=actor, now=now)
            self._call(person_id, person.name)
            return person

    async def erase(self, person_id: UUID, *, actor: str, now: float) -> Erasure:
        async with self._changing:
            erasure = await self._opened(person_id).erase(person_id, actor=actor, now=now)
            await self._dropped(person_id, erasure.version)
            return erasure

    async def sweep(self, *, actor: str, now: float) -> Swept:
        """The retention job."""
        async with self._changing:
            if not self._is_open:
                return Swept(0, (), (), ())
            swept = await self.store.sweep(retention_of(self._settings), actor=actor, now=now)
            for person_id in swept.erased:
                await self._dropped(person_id, swept.version)
            for template in swept.changed:
                await self._put(template, swept.version)
            return swept

    def _opened(self, person_id: UUID) -> GalleryStore:
        if not self._is_open:
            raise NotFound(f"nobody in the gallery has the id {person_id}")
        return self.store

    def _call(self, person_id: UUID, name: str | None) -> None:
        if name is None:
            self._names.pop(person_id, None)
        else:
            self._names[person_id] = name
        for watcher in self._name_watchers:
            watcher(person_id, name)

    async def _took(self, change: Change) -> Person:
        self._call(change.person.id, change.person.name)
        await self._put(change.template, change.version)
        for watcher in self._enrolment_watchers:
            watcher()
        return change.person

    async def _dropped(self, person_id: UUID, version: int) -> None:
        self._call(person_id, None)
        for watcher in self._erasure_watchers:
            watcher(person_id)
        if not self._settings.pgvector:
            await asyncio.to_thread(self._index.remove, person_id, version)
            self._tell_followers(Updated(version, person_id, None))

    async def _put(self, template: Template, version: int) -> None:
        if not self._settings.pgvector:
            await asyncio.to_thread(self._index.put, template, version)
            self._tell_followers(Updated(version, template.person_id, template))

    def _tell_followers(self, said: Snapshot | Updated) -> None:
        for follower in self._followers:
            follower(said)
