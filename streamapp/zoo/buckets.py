"""A batch of any length, in runs of a few sizes: with ever new shapes a GPU's arena grows without bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.session import Device

BUCKETS = (1, 2, 4, 8)
CPU_BUCKETS = (1, 2)
"""One face nearly fills a core: larger batches gain nothing there, and take twice as long to warm up (ADR 0007)."""

RunOne = Callable[[Floats], Sequence[Floats]]


def buckets_on(device: Device) -> tuple[int, ...]:
    """The sizes models are run with there."""
    return CPU_BUCKETS if device is Device.CPU else BUCKETS


@dataclass(frozen=True, slots=True)
class Buckets:
    """The sizes one session runs, and how a batch becomes them."""

    variant: str
    input: TensorShape
    sizes: tuple[int, ...]
    fill: bool
    """Whether a batch is filled up to a size, or cut into full ones: on a CPU filling is work for nothing."""

    @classmethod
    def of(cls, variant: str, given: TensorShape, *, mixes_batch: bool, fill: bool) -> Buckets:
        """For weights with that input. `mixes_batch`: see OnnxFile; then each item runs alone."""
        sizes = BUCKETS if given.shape[0] is None else (given.shape[0],)
        return cls(variant, given, sizes[:1] if mixes_batch else sizes, fill)

    def run(self, batch: Floats, run_one: RunOne) -> tuple[Floats, ...]:
        """One float32 array per output, as if `run_one` took batches of any length. Raises ModelInputInvalid."""
        if not len(batch) or not self.input.takes((self.input.shape[0] or 1, *batch.shape[1:])):
            raise ModelInputInvalid(f"{self.variant} takes {self.input.shape}, not {batch.shape}")
        parts = []
        for part, size in self._parts(batch):
            count = len(part)
            if count < size:
                part = np.concatenate([part, np.zeros((size - count, *part.shape[1:]), part.dtype)])
            parts.append(tuple(np.asarray(output, np.float32)[:count] for output in run_one(part)))
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def blanks(self, sizes: Sequence[int]) -> Iterator[Floats]:
        """Empty batches to warm up with: of those `sizes` that are run as they are."""
        shape = tuple(known or 64 for known in self.input.shape[1:])
        for size in sizes:
            if size in self.sizes:
                yield np.zeros((size, *shape), np.float32)

    def _parts(self, batch: Floats) -> Iterator[tuple[Floats, int]]:
        """The batch in pieces, each with the size it runs in."""
        at = 0
        while at < len(batch):
            left = len(batch) - at
            fitting = [size for size in self.sizes if size <= left]
            size = fitting[-1] if fitting else self.sizes[0]
            if self.fill:
                size = next((bucket for bucket in self.sizes if bucket >= left), self.sizes[-1])
            yield batch[at : at + size], size
            at += size
