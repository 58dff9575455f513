"""What the store answers, and the rules of retention."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streamapp.gallery.audit import AuditEntry
from streamapp.gallery.people import Person, PersonRecord, Template


@dataclass(frozen=True, slots=True)
class Change:
    """A person who was enrolled or changed, and the gallery's version with that in it."""

    version: int
    person: Person
    template: Template


@dataclass(frozen=True, slots=True)
class Erasure:
    """Somebody was erased, which is final."""

    version: int
    person_id: UUID
    is_scrubbed: bool
    """False: another program reads the database, so that its log still has the (encrypted) rows. They go with the next
    change or start."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept, in seconds."""

    max_unseen_s: float
    rejections_s: float


@dataclass(frozen=True, slots=True)
class Swept:
    """What the retention job did. Run again at the same time it does nothing."""

    version: int
    consent_ended: tuple[UUID, ...]
    unseen: tuple[UUID, ...]
    changed: tuple[Template, ...]
    """People of whom old rejections were forgotten."""

    @property
    def erased(self) -> tuple[UUID, ...]:
        return self.consent_ended + self.unseen


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everybody, at one version."""

    version: int
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """One person as they are compared with from this version on; template None: they are not there any more."""

    version: int
    person_id: UUID
    template: Template | None


@dataclass(frozen=True, slots=True)
class Export:
    """Everything about one person."""

    record: PersonRecord
    audit: tuple[AuditEntry, ...]
