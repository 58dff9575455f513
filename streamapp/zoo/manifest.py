"""Reads models/manifest.toml. The file is checked whole; an unknown key is an error."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from streamapp.assets import asset
from streamapp.errors import ManifestInvalid, UsageError
from streamapp.zoo.spec import Task, UrlSource, Variant, WeightSource, WheelSource

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
_FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
_Project = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+/\S+$")]
_MaybeSha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
_MaybeSha384 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{96})?$")]
_Text = Annotated[str, StringConstraints(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _WheelEntry(_Entry):
    project: _Project
    version: _Project
    member: _Text
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d+$")]
    platforms: Annotated[tuple[_Project, ...], Field(min_length=1)]


class _SourceEntry(_Entry):
    url: _HttpUrl | None = None
    wheel: _WheelEntry | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> _SourceEntry:
        if (self.url is None) == (self.wheel is None):
            raise ValueError("a source is either a url or a wheel")
        return self

    def to_source(self) -> WeightSource:
        if self.url is not None:
            return UrlSource(self.url)
        assert self.wheel is not None
        return WheelSource(**self.wheel.model_dump())


class _VariantEntry(_Entry):
    name: _Name
    task: Task
    file: _FileName
    sha256: _MaybeSha256
    sha384: _MaybeSha384
    size_bytes: Annotated[int, Field(gt=0)] | None = Field(None, alias="bytes")
    licence: str
    commercial_use: bool | None = None
    input: str
    output: str
    reference: str
    source: tuple[_SourceEntry, ...] = ()
    recipe: str = ""
    memory_mb: dict[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] = Field({})

    @model_validator(mode="after")
    def _can_be_had(self) -> _VariantEntry:
        if not self.source and not self.recipe:
            raise ValueError("a variant needs a source, or a recipe that says how its file is made")
        return self

    def to_variant(self) -> Variant:
        return Variant(
            name=self.name,
            task=self.task,
            file=self.file,
            sources=tuple(entry.to_source() for entry in self.source),
            sha256=self.sha256 or None,
            sha384=self.sha384 or None,
            size_bytes=self.size_bytes,
            licence=self.licence,
            commercial_use=self.commercial_use,
            input=self.input,
            output=self.output,
            reference=self.reference,
            recipe=self.recipe,
            memory_bytes={batch: round(mb * 1e6) for batch, mb in sorted(self.memory_mb.items())},
        )


class _ManifestFile(_Entry):
    schema_version: Literal[1] = Field(alias="schema")
    variant: tuple[_VariantEntry, ...]

    @model_validator(mode="after")
    def _is_unambiguous(self) -> _ManifestFile:
        for key in ("name", "file"):
            values = [getattr(entry, key) for entry in self.variant]
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{key} is not unique: {', '.join(repeated)}")
        return self


@dataclass(frozen=True, slots=True)
class Manifest:
    """All known variants, in order of preference within each task."""

    variants: tuple[Variant, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that have a variant, in order of first appearance."""
        return tuple(dict.fromkeys(variant.task for variant in self.variants))

    def for_task(self, task: Task) -> tuple[Variant, ...]:
        return tuple(variant for variant in self.variants if variant.task is task)

    def licence_of(self, name: str) -> str:
        """Of a variant's weights, as it is shown."""
        licences = (variant.licence for variant in self.variants if variant.name == name)
        return next(licences, "") or "not known"

    def named(self, name: str, task: Task | None = None) -> Variant:
        """Raises UsageError, listing the known names, if there is no such variant (of that task)."""
        eligible = self.variants if task is None else self.for_task(task)
        for variant in eligible:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in eligible) or "none"
        raise UsageError(f"the manifest has no variant {name!r}{f' for task {task}' if task else ''}; known: {known}")


def load_manifest(path: Path | None = None) -> Manifest:
    """The manifest at `path`, or the one that comes with the app. Raises ManifestInvalid, naming each wrong entry."""
    path = path or asset("models/manifest.toml")
    try:
        entries = _ManifestFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ManifestInvalid(f"{path}: " + "; ".join(lines)) from error
    except (OSError, ValueError) as error:
        raise ManifestInvalid(f"{path} cannot be read: {error}") from error
    return Manifest(tuple(entry.to_variant() for entry in entries.variant))
