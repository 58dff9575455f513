"""Which idle models go when room is needed: those of the lowest value per byte. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A loaded variant that may be unloaded."""

    variant: str
    size_bytes: int
    weight: float
    """How much it matters: twice as much is worth twice the memory."""
    idle_s: float
    load_s: float
    """What it takes to have it back."""

    @property
    def value(self) -> float:
        """Per byte: the more it matters, the more recently it was used and the longer it takes to load."""
        return self.weight * max(self.load_s, 0.001) / (1.0 + self.idle_s) / max(self.size_bytes, 1)


def victims(candidates: Iterable[Candidate], needed_bytes: int) -> tuple[str, ...]:
    """The fewest bytes' worth that give `needed_bytes`, the least valuable first; empty if all together do not."""
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.value, c.variant)):
        if sum(c.size_bytes for c in chosen) >= needed_bytes:
            break
        chosen.append(candidate)
    spare = sum(c.size_bytes for c in chosen) - needed_bytes
    if spare < 0:
        return ()
    for candidate in reversed(chosen.copy()):  # a large one taken last may make small ones taken first needless
        if candidate.size_bytes <= spare:
            chosen.remove(candidate)
            spare -= candidate.size_bytes
    return tuple(candidate.variant for candidate in chosen)
