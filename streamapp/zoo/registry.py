"""Which weights are installed, and that they are the right ones. A file's hash is checked before every load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamapp.choices import ScreenRuntime
from streamapp.errors import ModelInvalid, ModelMissing
from streamapp.settings import Settings
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.fetch import Fetched, OnProgress, fetch_first
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.spec import Digest, Task, Variant

PULL_COMMAND = "streamapp models pull"
_PINS_FILE = "pins.json"

_FileState = tuple[str, int, int, int]
_digests: dict[_FileState, Digest] = {}
"""Digests of files seen by this process: a file is read again only after its size, time or inode changed."""


class FileCondition(StrEnum):
    """How a variant's file in the models folder is."""

    VALID = "valid"
    MISSING = "missing"
    INVALID = "invalid"
    """Its content is not what the manifest says."""
    UNPINNED = "unpinned"
    """The manifest has no checksum of it and none was noted yet."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found where a variant's file belongs."""

    variant: Variant
    path: Path
    condition: FileCondition
    detail: str


class Registry:
    """The models folder, seen through the manifest."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder

    @classmethod
    def from_settings(cls, settings: Settings) -> Registry:
        """Raises ManifestInvalid."""
        return cls(load_manifest(), settings.models.dir)

    def inspect(self, variant: Variant) -> Inspection:
        """Checks a variant's file. Raises ModelInvalid only if it cannot be read at all."""
        path = self.folder / variant.file
        try:
            digest = _digest(path)
        except FileNotFoundError:
            return Inspection(variant, path, FileCondition.MISSING, f"{path} is missing")
        except OSError as error:
            raise ModelInvalid(f"{path} cannot be read: {error.strerror}") from error
        expected = self.pinned(variant)
        if not expected.has_checksum:
            return Inspection(variant, path, FileCondition.UNPINNED, f"no checksum of {path} is known yet")
        mismatch = expected.mismatch(digest)
        if mismatch:
            return Inspection(variant, path, FileCondition.INVALID, f"{path}: {mismatch}")
        return Inspection(variant, path, FileCondition.VALID, f"sha256 {digest.sha256}")

    def installed(self, task: Task) -> tuple[Variant, ...]:
        """The variants of a task whose file is there, in order of preference. Their content is not checked."""
        return tuple(v for v in self.manifest.for_task(task) if self.is_installed(v))

    def is_installed(self, variant: Variant) -> bool:
        """Whether a variant's file is there. Its content is not checked."""
        return (self.folder / variant.file).is_file()

    def chosen(self, task: Task, name: str | None) -> Variant:
        """The variant called `name`, or the first installed one. Raises UsageError for an unknown name and
        ModelMissing, with the command that helps."""
        if name is not None:
            return self.manifest.named(name, task)
        installed = self.installed(task)
        if not installed:
            raise ModelMissing(f"no model for task {task} is in {self.folder}/; run `{PULL_COMMAND}`")
        return installed[0]

    def pinned(self, variant: Variant) -> Variant:
        """The variant with the checksum noted at its first download, where the manifest has none. Raises
        ModelInvalid."""
        return variant.pinned(self._pins())

    def verified(self, variant: Variant) -> Path:
        """The path of a variant's file, whose content is the right one. Raises ModelMissing or ModelInvalid, with the
        command that helps."""
        found = self.inspect(variant)
        match found.condition:
            case FileCondition.VALID:
                return found.path
            case FileCondition.MISSING:
                raise ModelMissing(f"{found.detail}; run `{PULL_COMMAND} {variant.name}`")
            case _:
                raise ModelInvalid(f"{found.detail}; it is not loaded; run `{PULL_COMMAND} {variant.name}`")

    def pull(
        self, variants: tuple[Variant, ...], *, mirror: str | None, on_progress: OnProgress = lambda _: None
    ) -> Fetched | Inspection:
        """Sees to it that one of `variants` is installed and valid: the first that is there (an Inspection; if its
        content is wrong it is fetched anew), else the first that can be fetched. A variant without checksum is pinned
        to what it is now. Raises DownloadFailed, UsageError for an unusable mirror, ModelInvalid."""
        for found in map(self.inspect, variants):
            if found.condition is FileCondition.UNPINNED:
                self._pin(found.variant, _digest(found.path))
                return self.inspect(found.variant)
            if found.condition is FileCondition.VALID:
                return found
            if found.condition is FileCondition.INVALID:  # it is what would be chosen, so no other one will do
                variants = (found.variant,)
                break
        pins = self._pins()
        fetched = fetch_first(
            [variant.pinned(pins) for variant in variants], self.folder, mirror=mirror, on_progress=on_progress
        )
        if not fetched.variant.has_checksum:
            self._pin(fetched.variant, fetched.digest)
        return fetched

    def _pins(self) -> Mapping[str, str]:
        try:
            pins = json.loads((self.folder / _PINS_FILE).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelInvalid(f"{self.folder / _PINS_FILE} cannot be read: {error}") from error
        return {str(name): str(sha256) for name, sha256 in pins.items()}

    def _pin(self, variant: Variant, digest: Digest) -> None:
        pins = {**self._pins(), variant.name: digest.sha256}
        part = self.folder / f".{_PINS_FILE}.part"
        part.write_text(json.dumps(pins, indent=2, sort_keys=True) + "\n", "utf-8")
        part.replace(self.folder / _PINS_FILE)


def _digest(path: Path) -> Digest:
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino)
    if key not in _digests:
        _digests[key] = Digest.of_file(path)
    return _digests[key]


def open_screener(settings: Settings) -> FaceScreener:
    """Opens the net that screens every frame of one stream: the configured variant, or the first installed one, under
    the configured runtime. Raises ModelMissing, ModelInvalid, ManifestInvalid, UsageError."""
    registry = Registry.from_settings(settings)
    variant = registry.chosen(Task.SCREEN, settings.models.screener)
    weights = registry.verified(variant).read_bytes()
    min_score = settings.pipeline.min_score
    # Each runtime is imported only when it is used: MediaPipe's takes most of a second, and is not on every platform.
    match settings.models.runtime:
        case ScreenRuntime.LITERT:
            from streamapp.zoo.blazeface_litert import LiteRtScreener

            return LiteRtScreener(variant.name, weights, min_score=min_score)
        case ScreenRuntime.MEDIAPIPE:
            from streamapp.zoo.mediapipe_face import MediaPipeScreener

            return MediaPipeScreener(variant.name, weights, min_score=min_score)
