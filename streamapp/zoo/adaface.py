"""AdaFace: a recogniser whose margin adapts to the quality of the picture.

Paper: Kim, Jain and Liu, 2022 (arXiv 2204.00964). Weights: MIT code; what they were trained on is for research only.
Input: 112x112 BGR, aligned, (x / 255 - 0.5) / 0.5. Output: 512 numbers, and their length before normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.zoo.alignment import align
from streamapp.zoo.base import Crop, Face
from streamapp.zoo.crops import Packing
from streamapp.zoo.recogniser import RecogniserSpec, embeddings, pack, recogniser

_PACKING = Packing(mean=127.5, scale=127.5, bgr=True)

SPECS: Mapping[str, RecogniserSpec] = {"adaface-ir101": recogniser("adaface-ir101", 112, 512, _PACKING)}


@dataclass(frozen=True, slots=True)
class AdaFace:
    spec: RecogniserSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        return align(rgb, face, self.spec.side)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return pack(self.spec, items)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[Embedding]:
        return embeddings(self.spec, outputs, len(items))
