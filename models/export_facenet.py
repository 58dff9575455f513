"""Exports FaceNet (Inception-ResNet-v1 on VGGFace2) to ONNX: a one-off, not part of the app, which never needs torch.

In an environment of its own:

    pip install torch onnx onnxscript && pip install --no-deps facenet-pytorch==2.6.0
    python models/export_facenet.py models/facenet_vggface2.onnx [--weights 20180402-114759-vggface2.pt]

fetches the weights of timesler/facenet-pytorch (MIT) unless they are given, refuses any file but the known one, exports
with a free batch size and opset 18, and holds the result against torch. Then `streamapp models pull facenet-vggface2`
pins the file. No checksum of the ONNX file is known: exports of different torch versions differ in bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import urllib.request
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

URL = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt"
SHA256 = "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b"
SIDE = 160
TOLERANCE = 1e-4


def architecture() -> ModuleType:
    """facenet-pytorch's inception_resnet_v1.py alone: the package around it wants torchvision, which is not needed."""
    package = importlib.util.find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        raise SystemExit(__doc__)
    path = Path(package.origin).parent / "models" / "inception_resnet_v1.py"
    source = path.read_text("utf-8").replace("from .utils.download import download_url_to_file", "")
    module = ModuleType("inception_resnet_v1")
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - the installed package's own file
    return module


def weights(path: Path | None) -> Path:
    if path is None:
        path = Path(URL.rpartition("/")[2])
        if not path.is_file():
            urllib.request.urlretrieve(URL, path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path} has sha256 {found}, expected {SHA256}; it is not opened")
    return path


def export(net: torch.nn.Module, target: Path) -> None:
    """Writes the graph, self-contained, and compares it with torch on a batch of two."""
    net.eval()
    example = torch.zeros(1, 3, SIDE, SIDE)
    batch = torch.export.Dim("N")
    torch.onnx.export(
        net, (example,), str(target), input_names=["input"], output_names=["embedding"], opset_version=18,
        dynamic_shapes=({0: batch},), external_data=False, dynamo=True,
    )  # fmt: skip
    pictures = np.random.default_rng(0).standard_normal((2, 3, SIDE, SIDE)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(pictures)).numpy()
    (found,) = ReferenceEvaluator(onnx.load(target)).run(None, {"input": pictures})
    error = float(np.abs(found - expected).max())
    if error > TOLERANCE:
        target.unlink()
        raise SystemExit(f"the exported graph differs from torch by {error}")
    print(f"{target}: {target.stat().st_size} bytes, differs from torch by {error:.1e} at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    net = architecture().InceptionResnetV1(classify=False, num_classes=8631, pretrained=None)
    state = torch.load(weights(arguments.weights), map_location="cpu", weights_only=True)
    net.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits.")}, strict=False)
    export(net, arguments.target)


if __name__ == "__main__":
    main()
