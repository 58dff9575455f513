"""The audit log: who did what to whom, without names. Append-only, each entry holding the hash of the one before.

A changed, removed, inserted or reordered entry breaks the chain. That the last ones were cut off, or the whole chain
forged, shows by the head: the number and hash of the newest entry, which the store seals with the master key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from streamapp.errors import UsageError

GENESIS = "0" * 64
_ACTOR = re.compile(r"[a-z0-9][a-z0-9:_.-]{0,63}")


class AuditAction(StrEnum):
    CREATED = "gallery_created"
    ENROLLED = "enrolled"
    SAMPLES_ADDED = "samples_added"
    RENAMED = "renamed"
    REJECTED = "rejected"
    """Somebody said of a face that it is not this person."""
    ERASED = "erased"
    EXPORTED = "exported"
    RETENTION = "retention_run"


Details = Mapping[str, str | int]
"""Counts and reasons; never a name."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    number: int
    """1, 2, 3 and so on without a gap."""
    at: float
    """Unix time in seconds."""
    actor: str
    action: AuditAction
    person_id: UUID | None
    details: Details
    previous_hash: str
    hash: str
    """SHA-256, in hexadecimal, of the previous hash and of all else in this entry."""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where the chain ends."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class AuditFault:
    """The first entry that is not what was written."""

    number: int
    problem: str


def append(
    head: AuditHead, at: float, actor: str, action: AuditAction, person_id: UUID | None, details: Details
) -> AuditEntry:
    """The entry that follows `head`. Raises UsageError for an actor that is no short, plain word (so no name)."""
    if not _ACTOR.fullmatch(actor):
        raise UsageError("an actor of the audit log is a short word of a-z, 0-9 and :_.-")
    number = head.number + 1
    digest = _digest(head.hash, number, at, actor, action, person_id, details)
    return AuditEntry(number, at, actor, action, person_id, details, head.hash, digest)


def verify(entries: Iterable[AuditEntry], head: AuditHead) -> AuditFault | None:
    """The first fault of the whole log, which must end at `head`; None if there is none."""
    last = AuditHead()
    for entry in entries:
        if entry.number != last.number + 1:
            return AuditFault(last.number + 1, "is missing or out of order")
        if entry.previous_hash != last.hash:
            return AuditFault(entry.number, "does not follow the one before")
        if entry.hash != _digest(
            last.hash, entry.number, entry.at, entry.actor, entry.action, entry.person_id, entry.details
        ):
            return AuditFault(entry.number, "was changed")
        last = AuditHead(entry.number, entry.hash)
    if last.number < head.number:
        return AuditFault(last.number + 1, "was cut off")
    return None if last == head else AuditFault(last.number, "is not what was written last")


def details_text(details: Details) -> str:
    """Canonical JSON."""
    return json.dumps(dict(details), sort_keys=True, separators=(",", ":"))


def _digest(
    previous: str, number: int, at: float, actor: str, action: AuditAction, person_id: UUID | None, details: Details
) -> str:
    fields = [number, at, actor, action.value, None if person_id is None else str(person_id), dict(details)]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()
