"""ArcFace: recognisers trained with an additive angular margin, ResNet-100 and -50 and the small MobileFaceNet.

Papers: Deng et al., 2018 (arXiv 1801.07698); Chen et al., MobileFaceNets, 2018 (arXiv 1804.07573). Weights: those of
InsightFace are for non-commercial research. Input: 112x112 RGB, aligned, scaled as each model card has it. Output: 128
to 512 numbers.
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

_PACKING = Packing(mean=127.5, scale=127.5)
_RAW = Packing(mean=0.0, scale=1.0)
"""The net scales its input itself."""
_IMAGENET = Packing(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375))

SPECS: Mapping[str, RecogniserSpec] = {
    spec.variant: spec
    for spec in (
        recogniser("arcface-r100-glint", 112, 512, _PACKING),
        recogniser("arcface-r100-openmodelzoo", 112, 512, _RAW),
        recogniser("arcface-r50-w600k", 112, 512, _PACKING),
        recogniser("arcface-mbf-w600k", 112, 512, _PACKING),
        recogniser("arcface-mbf-w600k-int8", 112, 512, _PACKING),
        recogniser("mobilefacenet-insightface-y1", 112, 128, _RAW),
        recogniser("mobilefacenet-foamliu", 112, 128, _IMAGENET),
        recogniser("mobilefacenet-foamliu-int8", 112, 128, _IMAGENET),
        recogniser("mobileface-v2", 112, 256, _RAW),
    )
}


@dataclass(frozen=True, slots=True)
class ArcFace:
    spec: RecogniserSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        return align(rgb, face, self.spec.side)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return pack(self.spec, items)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[Embedding]:
        return embeddings(self.spec, outputs, len(items))
