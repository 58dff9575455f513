"""Builds MTCNN's three nets as ONNX from the weights of davidsandberg/facenet (MIT): a one-off, not part of the app.

    python models/build_mtcnn.py det1.npy det2.npy det3.npy models/

writes pnet_folded.onnx, rnet_folded.onnx and onet_folded.onnx. The files are in src/align/ of that repository; they are
pickles, so each is refused unless its checksum is the one written here. Needs numpy and onnx.

The nets give the same answers as the plain ones (to 1e-5), at up to twice the speed on a processor: ONNX Runtime has no
fast form of PReLU, so it is written with what it is quick at. With a slope a, PReLU(x) = a x + (1 - a) relu(x), and the
factor (1 - a) goes into the layer behind it; what is left is one depthwise 1x1 convolution and a sum. In the first
layers the pool comes first, so that this is done on a quarter of the numbers: max(max(x), max(a x)) over the pool, for
which channels of negative slope also need the pool of -x; they take places that would only fill up a block of 16.
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
Layers = dict[str, dict[str, Array]]

CHECKSUMS = {
    "det1.npy": "3285cf7a3de2651c5784cb9e32013f5919aae95fd1ed1bc371dd9691affb39af",
    "det2.npy": "716b8b83e42476791c9096f14dbb09fefc88bf5c7ec876b1683f9acd52b3f39c",
    "det3.npy": "396ead803d85d3443307ff8f45fb6aed2536579b415a4f4d4cb8f93ea6b1476a",
}
POOLS = {"rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}
"""Side of the pool behind each convolution; 0 is none. All move by 2 and count a part of a window as one."""


def read(path: Path) -> Layers:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != CHECKSUMS[path.name]:
        raise SystemExit(f"{path} is not the file this was written for; it is a pickle and is not opened")
    return dict(np.load(io.BytesIO(content), allow_pickle=True, encoding="latin1").item())


class Graph:
    """Nodes and weights in the order they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, array: NDArray[np.generic]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, kernel: Array, bias: Array | None = None) -> str:
        names = [self.weight(kernel.astype(np.float32))]
        if bias is not None:
            names.append(self.weight(bias.astype(np.float32)))
        return self.node("Conv", x, *names)

    def scaled(self, x: str, factors: Array) -> str:
        """A factor per channel, as a depthwise convolution: a product would undo the blocked layout."""
        return self.node("Conv", x, self.weight(factors.astype(np.float32)[:, None, None, None]), group=len(factors))

    def pool(self, x: str, side: int) -> str:
        return self.node("MaxPool", x, kernel_shape=[side, side], strides=[2, 2], ceil_mode=1)

    def prelu(self, x: str, slopes: Array) -> tuple[str, Array]:
        """A tensor, and the positive factors per channel by which PReLU(x) is larger than it."""
        if slopes.max() < 1:
            rest = 1 - slopes
            return self.node("Add", self.scaled(x, slopes / rest), self.node("Relu", x)), rest
        linear, bent = self.scaled(x, slopes), self.scaled(self.node("Relu", x), 1 - slopes)
        return self.node("Add", linear, bent), np.ones_like(slopes)

    def pooled_prelu(self, x: str, layer: dict[str, Array], slopes: Array, side: int) -> tuple[str, Array]:
        """The pool over PReLU(convolution): a tensor, and the factors per channel that make it that."""
        count, negative = len(slopes), np.flatnonzero(slopes < 0)
        blocks = -(-(count + len(negative)) // 16) * 16
        weights, bias = np.zeros((blocks, *kernel(layer).shape[1:]), np.float32), np.zeros(blocks, np.float32)
        weights[:count], bias[:count] = kernel(layer), layer["biases"]
        mirrored = count + np.arange(len(negative))
        weights[mirrored], bias[mirrored] = -kernel(layer)[negative], -layer["biases"][negative]
        linear, bent = np.zeros((count, blocks), np.float32), np.zeros((count, blocks), np.float32)
        factors = np.ones(count, np.float32)
        for channel, slope in enumerate(slopes):
            if slope < 0:  # max(p, -a q) = -a q + relu(p + a q), q the pool of -x
                other = mirrored[negative.tolist().index(channel)]
                linear[channel, other] = -slope
                bent[channel, channel], bent[channel, other] = 1, slope
            elif slope <= 1:
                linear[channel, channel], bent[channel, channel] = slope, 1 - slope
            else:  # min(p, a p) = -a (-p + relu(p - p / a))
                linear[channel, channel], bent[channel, channel] = -1, 1 - 1 / slope
                factors[channel] = -slope
        pooled = self.pool(self.conv(x, weights, bias), side)
        bend = self.node("Relu", self.conv(pooled, bent[:, :, None, None]))
        return self.node("Add", self.conv(pooled, linear[:, :, None, None]), bend), factors

    def save(self, path: Path, side: int | None, outputs: dict[str, tuple[object, ...]]) -> None:
        sides = [side, side] if side else ["H", "W"]
        given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, *sides])
        found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *s]) for name, s in outputs.items()]
        graph = helper.make_graph(self.nodes, path.stem, [given], found, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="streamapp")
        model.ir_version = 8
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))
        print(f"{path}: sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, {path.stat().st_size} bytes")


def kernel(layer: dict[str, Array]) -> Array:
    """[out, in, height, width]; the weights were trained on pictures with rows and columns exchanged."""
    return layer["weights"].transpose(3, 2, 1, 0)


def build_pnet(layers: Layers, path: Path) -> None:
    graph = Graph()
    x, factors = graph.pooled_prelu("input", layers["conv1"], layers["PReLU1"]["alpha"], 2)
    second = kernel(layers["conv2"]) * factors[None, :, None, None]
    x, factors = graph.prelu(graph.conv(x, second, layers["conv2"]["biases"]), layers["PReLU2"]["alpha"])
    third = kernel(layers["conv3"]) * factors[None, :, None, None]
    x, factors = graph.prelu(graph.conv(x, third, layers["conv3"]["biases"]), layers["PReLU3"]["alpha"])
    scores, corrections = layers["conv4-1"], layers["conv4-2"]
    heads = np.concatenate([np.diff(kernel(scores), axis=0), kernel(corrections)]) * factors[None, :, None, None]
    found = graph.conv(x, heads, np.concatenate([np.diff(scores["biases"]), corrections["biases"]]))
    sizes = graph.weight(np.array([1, 4], np.int64))
    graph.nodes.append(helper.make_node("Split", [found, sizes], ["logit", "reg"], axis=1))
    graph.save(path, None, {"logit": (1, "h", "w"), "reg": (4, "h", "w")})


def build_refiner(layers: Layers, path: Path, side: int, pools: tuple[int, ...], heads: dict[str, str]) -> None:
    graph = Graph()
    x, factors = graph.pooled_prelu("input", layers["conv1"], layers["prelu1"]["alpha"], pools[0])
    for number, pool in enumerate(pools[1:], 2):
        layer = layers[f"conv{number}"]
        scaled = kernel(layer) * factors[None, :, None, None]
        x, factors = graph.prelu(graph.conv(x, scaled, layer["biases"]), layers[f"prelu{number}"]["alpha"])
        if pool:
            x = graph.pool(x, pool)
    number = len(pools) + 1
    weights = layers[f"conv{number}"]["weights"]
    channels = len(factors)
    cells = round((len(weights) / channels) ** 0.5)
    upright = weights.reshape(cells, cells, channels, -1).transpose(2, 1, 0, 3) * factors[:, None, None, None]
    dense = graph.weight(upright.reshape(len(weights), -1).astype(np.float32))
    x = graph.node("Gemm", graph.node("Flatten", x), dense, graph.weight(layers[f"conv{number}"]["biases"]))
    x = graph.node("PRelu", x, graph.weight(layers[f"prelu{number}"]["alpha"]))
    outputs: dict[str, tuple[object, ...]] = {}
    for name, head in heads.items():
        weights, bias = layers[head]["weights"], layers[head]["biases"]
        if name == "prob":
            graph.node("Softmax", graph.node("Gemm", x, graph.weight(weights), graph.weight(bias)), output=name, axis=1)
        else:
            graph.node("Gemm", x, graph.weight(weights), graph.weight(bias), output=name)
        outputs[name] = (len(bias),)
    graph.save(path, side, outputs)


def main() -> None:
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    first, second, third, folder = map(Path, sys.argv[1:])
    build_pnet(read(first), folder / "pnet_folded.onnx")
    heads = {"prob": "conv5-1", "reg": "conv5-2"}
    build_refiner(read(second), folder / "rnet_folded.onnx", 24, POOLS["rnet"], heads)
    heads = {"prob": "conv6-1", "reg": "conv6-2", "landmarks": "conv6-3"}
    build_refiner(read(third), folder / "onet_folded.onnx", 48, POOLS["onet"], heads)


if __name__ == "__main__":
    main()
