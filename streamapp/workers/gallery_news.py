"""What workers are told of the gallery: names, changes, and on other machines all that is searched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from streamapp.errors import StreamappError
from streamapp.gallery.changes import Snapshot, Updated
from streamapp.gallery.replica import Copied
from streamapp.runtime import Runtime
from streamapp.workers.member import Member
from streamapp.workers.messages import LookAgain, Named, Told

_log = logging.getLogger(__name__)


class GalleryNews:
    """Used on the event loop's thread."""

    def __init__(self, runtime: Runtime, members: Sequence[Member]) -> None:
        self._runtime = runtime
        self._identification = runtime.models.identification
        self._members = members
        self._names: dict[UUID, str] = {}
        cluster = runtime.settings.cluster
        # On this machine nothing is copied: the server is as near as a copy.
        self._max_copied = 0 if cluster.address is None else cluster.gallery_copies

    @property
    def names(self) -> Mapping[UUID, str]:
        """Everybody's."""
        return dict(self._names)

    @property
    def version(self) -> int | None:
        """None where faces cannot be compared with anybody."""
        return None if self._identification.error is not None else self._identification.version

    def follow(self) -> None:
        """From now on the members are told what changes."""
        self._identification.watch_names(self._on_name)
        self._identification.watch_enrolments(lambda: self._tell(LookAgain(self.version)))
        gallery = self._identification.copies()
        if gallery is not None and self._max_copied:
            gallery.follow(self._on_change)

    async def hand_copy(self, tell: Callable[[Told], None]) -> None:
        """Tells a new process what is searched, where it is to have a copy of that."""
        gallery = self._identification.copies()
        if gallery is None or not self._max_copied:
            return
        try:
            async with gallery.held() as snapshot:
                if snapshot is not None:
                    self._tell_copy(snapshot, tell)
        except StreamappError as error:
            _log.warning("faces are searched by the server, not on the worker's machine: %s", error)

    def _tell_copy(self, snapshot: Snapshot, tell: Callable[[Told], None]) -> None:
        gallery = self._identification.copies()
        if gallery is not None and len(snapshot.templates) <= self._max_copied:
            for piece in Copied.pieces(gallery.fusion, snapshot):
                tell(piece)

    def _on_name(self, person_id: UUID, name: str | None) -> None:
        if name is None:
            self._names.pop(person_id, None)
        else:
            self._names[person_id] = name
        self._tell(Named(person_id, name, self.version))

    def _on_change(self, said: Snapshot | Updated) -> None:
        if isinstance(said, Snapshot):
            self._tell_copy(said, self._tell)
            return
        self._tell(said)
        if said.template is None:
            for member in self._members:
                self._runtime.begin(member.settle(), "gallery:erase")

    def _tell(self, message: Told) -> None:
        for member in self._members:
            member.tell(message)
