"""Short ways to ask a residency for models, and to see what it did."""

from __future__ import annotations

from streamapp.scheduler.api import Lease
from streamapp.scheduler.residency import ModelResidency
from tests.virtual_time import now_s

THREE = {"a": 400.0, "b": 400.0, "c": 400.0}
"""With batches of up to 8 each takes 680 MB, with batches of 1 400 MB; the context of a FakeCard 300 MB."""
ROOM_FOR_TWO = 1400
ONE = (1,)


async def leased(residency: ModelResidency, *variants: str, within_s: float = 5) -> Lease:
    return await residency.lease(variants, deadline_s=now_s() + within_s)


async def used(residency: ModelResidency, *variants: str, within_s: float = 5) -> None:
    (await leased(residency, *variants, within_s=within_s)).release()


def names(residency: ModelResidency) -> set[str]:
    return {model.variant for model in residency.snapshot().resident}
