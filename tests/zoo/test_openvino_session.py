"""OpenVINO gives the answers of ONNX Runtime, with several callers at once too."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamapp.choices import Backend, Precision
from streamapp.faces import Floats
from streamapp.zoo import catalogue
from streamapp.zoo.base import ModelSession
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from tests.sessions import session_of
from tests.weights import weights_of

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(
        importlib.util.find_spec("openvino") is None,
        reason="openvino is not installed (pip install 'streamapp[openvino]')",
    ),
]
RNG = np.random.default_rng(0)


def opened(name: str, **options: object) -> ModelSession:
    variant, path = weights_of(name)
    chosen = SessionOptions(backend=Backend.OPENVINO, warm_up=(1, 2), **options)  # type: ignore[arg-type]
    return catalogue.load(Registry(load_manifest(), path.parent), variant, chosen)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("mtcnn-pnet", (57, 40)),
        ("mtcnn-onet", (48, 48)),
        ("mobilefacenet-insightface-y1", (112, 112)),
        ("minifasnet-v2", (80, 80)),
        ("yolov8-lite-t-face", (640, 640)),
        ("yolov8-lite-t-face-nms-free", (640, 640)),
    ],
)
def test_answers_are_those_of_onnx_runtime(name: str, size: tuple[int, int]) -> None:
    session = opened(name)
    batch = RNG.standard_normal((3, 3, *size)).astype(np.float32)
    found, expected = session.run(batch), session_of(name).run(batch)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-3 * max(1, np.abs(theirs).max())
    session.close()


def test_the_lower_precision_is_used_only_where_asked_for() -> None:
    batch = RNG.uniform(0, 255, (1, 3, 112, 112)).astype(np.float32)
    expected = session_of("mobilefacenet-insightface-y1").run(batch)[0]
    exact, rough = (opened("mobilefacenet-insightface-y1", precision=p) for p in (Precision.F32, Precision.BF16))

    def error(session: ModelSession) -> float:
        return float(np.abs(session.run(batch)[0] - expected).max() / np.abs(expected).max())

    assert error(exact) < 1e-4
    assert error(rough) < 0.2  # as exact as the other where the processor has no bf16
    exact.close()
    rough.close()


def test_several_threads_get_their_own_answers() -> None:
    session = opened("mtcnn-onet")
    batches = [RNG.standard_normal((size, 3, 48, 48)).astype(np.float32) for size in (1, 2, 3, 4) * 5]
    alone = [session.run(batch)[0] for batch in batches]

    def run(batch: Floats) -> Floats:
        return session.run(batch)[0]

    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(run, batches), alone, strict=True):
            assert np.array_equal(found, expected)
    session.close()
