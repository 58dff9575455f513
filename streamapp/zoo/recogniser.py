"""What the recognisers share: a crop in, a vector of any length out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.zoo.base import Crop, ModelSpec
from streamapp.zoo.crops import Packing


@dataclass(frozen=True, slots=True)
class RecogniserSpec(ModelSpec):
    """A recogniser's input as its model card has it."""

    packing: Packing


def recogniser(variant: str, side: int, size: int, packing: Packing) -> RecogniserSpec:
    """Of a net whose first output is an embedding of `size` numbers."""
    return RecogniserSpec(variant, side, outputs=((size,),), packing=packing)


def pack(spec: RecogniserSpec, items: Sequence[Crop]) -> Floats:
    return spec.packing.pack(items, spec.side, spec.variant)


def embeddings(spec: RecogniserSpec, outputs: Sequence[Floats], count: int) -> list[Embedding]:
    """One per face, of length 1. Raises ModelError for outputs of another net."""
    return [Embedding.of(spec.variant, vector) for vector in spec.checked(outputs, count)[0]]
