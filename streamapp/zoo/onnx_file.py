"""What is seen of an ONNX file before it is loaded: whether it stands alone, and whether batches change its answers.

Tensors may name other files as their content, which would be read unverified. Reads the protobuf wire format
(https://protobuf.dev/programming-guides/encoding/) by the field numbers of onnx.proto; contents are skipped, so that a
large file takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamapp.errors import ModelInvalid

_MAX_DEPTH = 64

_TENSOR = "tensor"
_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
}
"""Messages of onnx.proto: field number > kind of message it holds, as far as tensors can be reached through it."""
_GRAPH = 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DYNAMICALLY_QUANTISED = b"DynamicQuantizeLinear"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A model file that stands alone. Its content is not kept: while a runtime loads it, that is a third copy."""

    source: Path | bytes
    mixes_batch: bool
    """Whether an item's answer depends on who else is in the batch: some operator takes its scale from all of it."""

    @classmethod
    def of(cls, source: Path | bytes, name: str) -> Self:
        """Raises ModelInvalid."""
        content = source if isinstance(source, bytes) else source.read_bytes()
        _refuse_external_data(content, name)
        return cls(source, _contains(content, _DYNAMICALLY_QUANTISED))


def _refuse_external_data(content: bytes, name: str) -> None:
    """Raises ModelInvalid if a tensor's data lies in another file, or if this is no ONNX file."""
    message = memoryview(content)
    try:
        if not any(number == _GRAPH for number, _ in _fields(message)):
            raise ValueError("no graph")
        _check(message, "model", name, 0)
    except (IndexError, ValueError) as error:
        raise ModelInvalid(f"{name} is not an ONNX file") from error


def _check(message: memoryview, kind: str, name: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    children = _CHILDREN.get(kind, {})
    for number, value in _fields(message):
        if kind == _TENSOR:
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
                raise ModelInvalid(f"{name} keeps its weights in another file, which is never read")
        elif number in children and isinstance(value, memoryview):
            _check(value, children[number], name, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field. Raises IndexError or ValueError for what is no message."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
            case 2:
                size, at = _varint(message, at)
                if at + size > end:
                    raise ValueError("truncated")
                yield key >> 3, message[at : at + size]
                at += size
            case 1:
                at += 8
            case 5:
                at += 4
            case wire:
                raise ValueError(f"wire type {wire}")
    if at != end:
        raise ValueError("truncated")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")


def _contains(content: bytes, wanted: bytes) -> bool:
    """As `wanted in content`, which holds up every other thread for as long as it takes: 0.1 s with a large file."""
    return any(wanted in content[at : at + _CHUNK_BYTES + len(wanted)] for at in range(0, len(content), _CHUNK_BYTES))
