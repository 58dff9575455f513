"""Another MTCNN, timed in an environment of its own. benchmarks/models.py runs it and sends it names of picture files.

    python -m venv benchmarks/.envs/peers
    benchmarks/.envs/peers/bin/pip install torch numpy pillow opencv-contrib-python-headless tensorflow-cpu
    benchmarks/.envs/peers/bin/pip install joblib lz4 tqdm requests
    benchmarks/.envs/peers/bin/pip install --no-deps facenet-pytorch==2.6.0 mtcnn==1.0.0

facenet-pytorch wants torchvision, of which there is not always a build, for one function: non-maximum suppression. It
gets one written here, and the time spent in that is taken off its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import types
import warnings
from collections.abc import Callable

import cv2
import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore")
in_suppression_s = 0.0

Detect = Callable[[np.ndarray], int]


def facenet_pytorch() -> Detect:
    import torch

    def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, overlap: float) -> torch.Tensor:
        global in_suppression_s
        start = time.perf_counter()
        if not len(boxes):
            return torch.zeros(0, dtype=torch.long)
        moved = boxes.numpy() + groups.numpy()[:, None] * (boxes.max().item() + 1)
        sized = np.concatenate([moved[:, :2], moved[:, 2:] - moved[:, :2]], axis=1).astype(np.float64)
        kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), 0.0, overlap)
        in_suppression_s += time.perf_counter() - start
        return torch.as_tensor(np.asarray(kept, np.int64))

    names = ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms")
    modules = {name: types.ModuleType(name) for name in (*names, "torchvision.transforms.functional")}
    modules["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]
    modules["torchvision.transforms"].functional = modules["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    sys.modules.update(modules)
    from facenet_pytorch import MTCNN

    net = MTCNN(keep_all=True, post_process=False, min_face_size=20)

    def detect(rgb: np.ndarray) -> int:
        with torch.no_grad():
            boxes, _ = net.detect(rgb)
        return 0 if boxes is None else len(boxes)

    return detect


def mtcnn() -> Detect:
    with contextlib.redirect_stdout(io.StringIO()):
        from mtcnn import MTCNN

        net = MTCNN(device="CPU:0")
    return lambda rgb: len(net.detect_faces(rgb, min_face_size=20))


def main() -> None:
    global in_suppression_s
    detect = {"facenet_pytorch": facenet_pytorch, "mtcnn": mtcnn}[sys.argv[1]]()
    print("ready", flush=True)
    for line in sys.stdin:
        rgb = np.load(line.strip())
        in_suppression_s = 0.0
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            faces = detect(rgb)
            taken_s = time.perf_counter() - start - in_suppression_s
        print(json.dumps({"faces": faces, "taken_s": taken_s}), flush=True)


if __name__ == "__main__":
    main()
