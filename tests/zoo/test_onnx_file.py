"""A model file whose weights lie elsewhere is never loaded, however deep the reference is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import ModelInvalid
from streamapp.zoo.onnx_file import OnnxFile
from tests.shared_data import shared_file


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field of less than 128 bytes."""
    assert len(content) < 128
    key = number << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 0x7F | 0x80, key >> 7])
    return head + bytes([len(content)]) + content


EXTERNAL = {
    "location": bytes([14 << 3, 1]),
    "entries": field(13, field(1, b"location") + field(2, b"../../etc/passwd")),
}
WAYS = {
    "initializer": lambda tensor: field(7, field(5, tensor)),
    "constant": lambda tensor: field(7, field(1, field(5, field(5, tensor)))),
    "branch": lambda tensor: field(7, field(1, field(5, field(6, field(5, tensor))))),
    "sparse": lambda tensor: field(7, field(15, field(1, tensor))),
    "function": lambda tensor: field(7, b"") + field(25, field(7, field(5, field(5, tensor)))),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", EXTERNAL)
def test_weights_in_another_file_are_refused(way: str, kind: str) -> None:
    with pytest.raises(ModelInvalid, match=r"net\.onnx keeps its weights in another file"):
        OnnxFile.of(WAYS[way](EXTERNAL[kind]), "net.onnx")


@pytest.mark.parametrize("way", WAYS)
def test_weights_in_the_file_are_fine(way: str) -> None:
    OnnxFile.of(WAYS[way](field(9, b"\x00" * 16) + bytes([14 << 3, 0])), "net.onnx")


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x3a\x7f", b"\xff" * 20, b"\x80\x04\x95\x10"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelInvalid, match="not an ONNX file"):
        OnnxFile.of(content, "net.onnx")


@pytest.mark.parametrize("padding", [0, (1 << 20) - 30])
def test_an_operator_that_takes_its_scale_from_the_batch_is_seen(tmp_path: Path, padding: int) -> None:
    """Wherever it stands, also across the pieces the file is looked through in."""
    path = tmp_path / "net.onnx"
    path.write_bytes(field(8, b"x") * (padding // 3) + field(7, field(1, field(4, b"DynamicQuantizeLinear"))))
    assert OnnxFile.of(path, path.name).mixes_batch
    assert OnnxFile.of(path.read_bytes(), path.name).mixes_batch


@pytest.mark.weights
def test_a_real_model_passes() -> None:
    found = OnnxFile.of(shared_file("models/onet.onnx"), "onet.onnx")
    assert found.source == shared_file("models/onet.onnx")
    assert not found.mixes_batch
