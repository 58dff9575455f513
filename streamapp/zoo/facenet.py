"""FaceNet: Inception-ResNet-v1 trained on VGGFace2.

Paper: Schroff, Kalenichenko and Philbin, 2015 (arXiv 1503.03832). Weights: timesler/facenet-pytorch, MIT.
Input: 160x160 RGB, the box of the face stretched to a square as facenet-pytorch's own detector cuts it, not aligned,
(x - 127.5) / 128. Output: 512 numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamapp.faces import Floats
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.zoo.base import Crop, Face
from streamapp.zoo.crops import Packing, box_crop
from streamapp.zoo.recogniser import RecogniserSpec, embeddings, pack, recogniser

_PACKING = Packing(mean=127.5, scale=128.0)

SPECS: Mapping[str, RecogniserSpec] = {"facenet-vggface2": recogniser("facenet-vggface2", 160, 512, _PACKING)}


@dataclass(frozen=True, slots=True)
class FaceNet:
    spec: RecogniserSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        return box_crop(rgb, face, self.spec.side)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return pack(self.spec, items)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[Embedding]:
        return embeddings(self.spec, outputs, len(items))
