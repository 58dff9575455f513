"""The chain: whatever is done to the log is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from streamapp.errors import UsageError
from streamapp.gallery.audit import AuditAction, AuditEntry, AuditHead, append, verify

PERSON = UUID(int=5)
Entries = list[AuditEntry]


def log_of(count: int) -> Entries:
    head, entries = AuditHead(), []
    for number in range(count):
        entry = append(head, 1000.5 + number, "cli", AuditAction.ENROLLED, PERSON, {"samples": number})
        entries.append(entry)
        head = AuditHead(entry.number, entry.hash)
    return entries


def head_of(entries: Entries) -> AuditHead:
    return AuditHead(entries[-1].number, entries[-1].hash)


def test_an_untouched_log_is_whole() -> None:
    assert verify([], AuditHead()) is None
    assert verify(log_of(5), head_of(log_of(5))) is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: replace(entry, actor="other"),
        lambda entry: replace(entry, at=entry.at + 1),
        lambda entry: replace(entry, action=AuditAction.ERASED),
        lambda entry: replace(entry, person_id=uuid4()),
        lambda entry: replace(entry, person_id=None),
        lambda entry: replace(entry, details={}),
        lambda entry: replace(entry, hash="f" * 64),
        lambda entry: replace(entry, previous_hash="f" * 64),
    ],
)
def test_a_changed_entry_is_named(harm: Callable[[AuditEntry], AuditEntry]) -> None:
    entries = log_of(5)
    entries[2] = harm(entries[2])
    fault = verify(entries, head_of(log_of(5)))
    assert fault is not None
    assert fault.number == 3


@pytest.mark.parametrize(
    ("harm", "number"),
    [
        (lambda log: log[:2] + log[3:], 3),
        (lambda log: [log[1], log[0], *log[2:]], 1),
        (lambda log: log[:4], 5),
        (lambda log: [], 1),
        (lambda log: [*log, log[-1]], 6),
    ],
)
def test_removed_moved_and_cut_off_entries_are_noticed(harm: Callable[[Entries], Entries], number: int) -> None:
    fault = verify(harm(log_of(5)), head_of(log_of(5)))
    assert fault is not None
    assert fault.number == number


def test_a_log_forged_as_a_whole_does_not_end_where_it_should() -> None:
    forged = log_of(4)
    forged.append(append(head_of(forged), 1, "other", AuditAction.ERASED, None, {}))
    fault = verify(forged, head_of(log_of(5)))
    assert fault is not None
    assert fault.problem == "is not what was written last"


@pytest.mark.parametrize("actor", ["", "Ada Lovelace", "a" * 65, "x\ny", "ünal"])
def test_an_actor_is_no_name(actor: str) -> None:
    with pytest.raises(UsageError):
        append(AuditHead(), 0, actor, AuditAction.ENROLLED, None, {})
