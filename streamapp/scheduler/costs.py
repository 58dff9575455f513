"""What each variant costs: the manifest's estimate until it was measured here, then that, kept between starts.

Measurements are kept by the file's checksum, the device and the build of the runtime: if one changes they say nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamapp.errors import ModelInvalid
from streamapp.scheduler.ledger import Holding
from streamapp.zoo.registry import Registry
from streamapp.zoo.spec import Variant

COSTS_FILE = "costs.json"
FILE_FACTOR, FILE_OFFSET_BYTES = 2, 32_000_000
"""Where the manifest has no estimate: recognisers of 4 to 260 MB took at most 2 file sizes and this much."""
FILE_SHARE = 0.4
"""How much of that the file is, where its size is not known: of those of 90 MB and more."""
UNKNOWN_BYTES = 600_000_000
"""Where not even the file's size is known: as much as the largest one that is."""
LEAST_LOADING = 0.25
"""Share of the estimate for loading that holds whatever was measured: it differs from load to load, as memory happens
to lie. The same ViT of 343 MB took 0 to 125 MB more while it was loaded."""
LOAD_BYTES_PER_S = 200_000_000
"""How fast weights are taken to load until it was measured."""

_log = logging.getLogger(__name__)


class CostSource(StrEnum):
    """Where a cost comes from."""

    MEASURED = "measured"
    MANIFEST = "manifest"
    FILE_SIZE = "file size"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a variant takes. `holding` includes what loading takes."""

    holding: Holding
    load_s: float
    source: CostSource


@dataclass(frozen=True, slots=True)
class Measurement:
    """What loading a variant was seen to take."""

    resident_bytes: int
    peak_bytes: int
    """While it was loaded; 0: not known."""
    load_s: float


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    resident_bytes: dict[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)]]
    """By the largest batch that was run."""
    peak_bytes: Annotated[int, Field(ge=0)]
    load_s: Annotated[float, Field(ge=0)]


class _CostsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    costs: dict[str, _Entry] = {}


class CostBook:
    """Costs of all variants on one device. `path`: where measurements are kept; None keeps none."""

    def __init__(
        self,
        variants: Mapping[str, Variant],
        *,
        device: str,
        load_overhead: float,
        runtime: str,
        path: Path | None = None,
    ) -> None:
        self._variants = variants
        self._load_overhead = load_overhead
        self._suffix = f" on {device} with {runtime}"
        self._path = path
        self._entries: dict[str, _Entry] = {}
        """By key; those of other devices and runtimes are kept as they are."""
        self._unkept: dict[str, _Entry] = {}
        """By variant: of files without a checksum, good for this process only."""
        if path is not None:
            self._entries = _read(path)

    @classmethod
    def of_registry(
        cls, registry: Registry, *, device: str, load_overhead: float, runtime: str, keep: bool = True
    ) -> CostBook:
        """Of all variants in the manifest, with the sizes of those that are installed. Raises ModelInvalid."""
        path = registry.folder / COSTS_FILE if keep else None
        variants = {variant.name: _sized(registry, variant) for variant in registry.manifest.variants}
        return cls(variants, device=device, load_overhead=load_overhead, runtime=runtime, path=path)

    def cost(self, variant: str, bucket: int) -> Cost:
        """With `bucket` as its largest batch. Raises ModelInvalid for a name nobody knows."""
        known = self._known(variant)
        estimate, source = _estimate(known, bucket)
        single, _ = _estimate(known, 1)
        entry = self._entry(known)
        file_bytes = known.size_bytes or 0
        loading = round(self._load_overhead * (known.size_bytes or FILE_SHARE * estimate))
        load_s = estimate / LOAD_BYTES_PER_S
        if entry is not None:
            source = CostSource.MEASURED
            nearest = min(entry.resident_bytes, key=lambda measured: (abs(measured - bucket), measured))
            measured_bytes = entry.resident_bytes[nearest]
            if nearest != bucket:  # by how much the estimate is wrong for the one, it is taken to be for the other
                measured_bytes = round(measured_bytes * estimate / _estimate(known, nearest)[0])
            single = round(single * measured_bytes / estimate)
            estimate = measured_bytes
            load_s = entry.load_s
            if entry.peak_bytes:
                loading = max(round(LEAST_LOADING * loading), entry.peak_bytes - estimate)
        weights = min(file_bytes, estimate)
        arena = max(0, min(single, estimate) - weights)
        return Cost(Holding(weights, arena, estimate - weights - arena, loading), load_s, source)

    def note(self, variant: str, bucket: int, found: Measurement) -> None:
        """Replaces what was known; a peak falls only half the way. A session is never smaller than its file: what seems
        to be was not all new."""
        known = self._known(variant)
        before = self._entry(known)
        resident = max(found.resident_bytes, known.size_bytes or 0)
        sizes = {**(before.resident_bytes if before else {}), bucket: resident}
        peak = max(found.peak_bytes, (found.peak_bytes + before.peak_bytes) // 2 if before else 0)
        entry = _Entry(resident_bytes=sizes, peak_bytes=peak, load_s=found.load_s)
        key = self._key(known)
        if key is None:
            self._unkept[variant] = entry
        else:
            self._entries[key] = entry

    def save(self) -> None:
        """Writes the measurements; that they cannot be kept is logged, no error."""
        if self._path is None:
            return
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            part.write_text(_CostsFile(costs=dict(sorted(self._entries.items()))).model_dump_json(indent=2) + "\n")
            part.replace(self._path)
        except OSError as error:
            _log.warning("measured costs are not kept: %s cannot be written: %s", self._path, error.strerror)
            self._path = None  # said once

    def _known(self, variant: str) -> Variant:
        known = self._variants.get(variant)
        if known is None:
            raise ModelInvalid(f"there is no variant named {variant}")
        return known

    def _entry(self, variant: Variant) -> _Entry | None:
        key = self._key(variant)
        return self._unkept.get(variant.name) if key is None else self._entries.get(key)

    def _key(self, variant: Variant) -> str | None:
        checksum = variant.sha256 or variant.sha384
        return None if checksum is None else checksum + self._suffix


def _estimate(variant: Variant, bucket: int) -> tuple[int, CostSource]:
    if variant.memory_bytes:
        fitting = [size for size in sorted(variant.memory_bytes) if size >= bucket]
        return variant.memory_bytes[fitting[0] if fitting else max(variant.memory_bytes)], CostSource.MANIFEST
    if variant.size_bytes is not None:
        return FILE_FACTOR * variant.size_bytes + FILE_OFFSET_BYTES, CostSource.FILE_SIZE
    return UNKNOWN_BYTES, CostSource.UNKNOWN


def _sized(registry: Registry, variant: Variant) -> Variant:
    """With the checksum noted at its download, and the size of the file that is there."""
    pinned = registry.pinned(variant)
    if pinned.size_bytes is None and registry.is_installed(pinned):
        return replace(pinned, size_bytes=(registry.folder / pinned.file).stat().st_size)
    return pinned


def _read(path: Path) -> dict[str, _Entry]:
    try:
        return _CostsFile.model_validate_json(path.read_bytes()).costs
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{error.error_count()} wrong entries"
        _log.warning("measured costs are ignored: %s cannot be read: %s", path, reason)
        return {}
