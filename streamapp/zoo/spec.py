"""What a variant is: one concrete file of weights, where it can be had and how it is recognised."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 20


class Task(StrEnum):
    """What a model does."""

    SCREEN = "screen"
    """Finds faces in every frame."""
    DETECT = "detect"
    """Finds faces, far ones too, in a whole picture."""
    PROPOSE = "propose"
    """MTCNN's first net: windows of a whole picture that may hold a face."""
    REFINE = "refine"
    """MTCNN's second net: which windows hold one, and where in them."""
    LANDMARK = "landmark"
    """MTCNN's third net: the final box and the 5 points."""
    RECOGNISE = "recognise"
    """An embedding of a face. Several may be used side by side."""
    ANTISPOOF = "antispoof"
    """Whether a face is a living person in front of the camera."""
    GENDER_AGE = "gender_age"
    DEEPFAKE = "deepfake"
    """Whether a face was made or changed by a program."""
    DEEPFAKE_LABELS = "deepfake_labels"
    """What the outputs of the deepfake net mean: its config.json."""


@dataclass(frozen=True, slots=True)
class UrlSource:
    """The file itself, at an http or https address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A member of a wheel on the package index this machine is set up to use, whichever that is."""

    project: str
    version: str
    member: str
    python: str
    """Tag of the interpreter the wheel is for; the member is the same on all, and this need not be the running one."""
    platforms: tuple[str, ...]

    def __str__(self) -> str:
        return f"wheel {self.project}=={self.version}"


WeightSource = UrlSource | WheelSource


@dataclass(frozen=True, slots=True)
class Digest:
    """Size and checksums of a file's content, in lower-case hexadecimal."""

    size_bytes: int
    sha256: str
    sha384: str

    @classmethod
    def of(cls, content: BinaryIO) -> Digest:
        """Reads `content` from where it stands to its end."""
        size_bytes, sha256, sha384 = 0, hashlib.sha256(), hashlib.sha384()
        while chunk := content.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            sha256.update(chunk)
            sha384.update(chunk)
        return cls(size_bytes, sha256.hexdigest(), sha384.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        with path.open("rb") as content:
            return cls.of(content)


@dataclass(frozen=True, slots=True)
class Variant:
    """One file of weights. What is not known is None or empty: nothing here is a guess."""

    name: str
    task: Task
    file: str
    """File name in the models folder and in mirrors."""
    sources: tuple[WeightSource, ...]
    sha256: str | None
    sha384: str | None
    size_bytes: int | None
    licence: str
    commercial_use: bool | None
    """Whether the licence of the weights allows it."""
    input: str
    output: str
    reference: str
    """Address of the paper or model card."""
    recipe: str = ""
    """How the file is made where nobody offers it for download, or how the copies in use were made."""
    memory_bytes: Mapping[int, int] = field(default_factory=dict)
    """Estimate of what a session takes on top of its process, by the largest batch it has run. Empty: not known."""

    @property
    def has_checksum(self) -> bool:
        return self.sha256 is not None or self.sha384 is not None

    def pinned(self, pins: Mapping[str, str]) -> Variant:
        """This variant with the SHA-256 noted at its first download, where the manifest has no checksum of it."""
        return self if self.has_checksum else replace(self, sha256=pins.get(self.name))

    def mismatch(self, found: Digest) -> str | None:
        """How `found` differs from what the manifest says, or None. An unknown property matches everything."""
        for what, expected, actual in (
            ("size", self.size_bytes, found.size_bytes),
            ("sha256", self.sha256, found.sha256),
            ("sha384", self.sha384, found.sha384),
        ):
            if expected is not None and expected != actual:
                return f"{what} is {actual}, expected {expected}"
        return None
