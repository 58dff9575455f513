"""The settings in force, as answers have them: where each comes from, and what other lines of the file would change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, Field, JsonValue
from pydantic.fields import FieldInfo

from streamapp.choices import Origin
from streamapp.log import redact
from streamapp.settings import Settings, settings_file
from streamapp.settings_reference import limits_text, type_text

_UNITS = {
    "_s": "seconds",
    "_seconds": "seconds",
    "_mb": "MB",
    "_bytes": "bytes",
    "_days": "days",
    "_pixels": "pixels",
    "_bitrate": "bit/s",
}
"""By how names end."""
_STRONGER = (Origin.ENVIRONMENT, Origin.COMMAND_LINE)
"""Than the file."""


class SettingInfo(BaseModel):
    """One setting. Values are as the settings file would have them; secrets and passwords in them are masked."""

    section: str
    name: str
    value: str | None = Field(description="In force; null: unset.")
    default: str | None
    origin: Origin
    variable: str = Field(description="The environment variable that is stronger than the file.")
    unit: str | None
    allowed: str = Field(description="What may be written, in words.")
    description: str


class SettingsReport(BaseModel):
    """All settings of the running server."""

    file: str = Field(description="The settings file; what changes in it holds from the next start on.")
    settings: list[SettingInfo]


class SettingsLines(BaseModel):
    """Lines for the settings file, to be checked; nothing is written."""

    toml: str = Field(min_length=1, max_length=8000)


class SettingChange(BaseModel):
    section: str
    name: str
    was: str | None
    would_be: str | None
    overridden_by: Origin | None = Field(description="What is stronger than the file, so that the line has no effect.")


class SettingsCheck(BaseModel):
    """The lines are right. What they would change at the next start."""

    file: str
    changes: list[SettingChange]


def report_of(settings: Settings) -> SettingsReport:
    return SettingsReport(file=str(settings_file().absolute()), settings=list(_infos(settings)))


def check_of(settings: Settings, toml: str) -> SettingsCheck:
    """Raises SettingsError, naming what is wrong."""
    changed = settings.with_lines(toml)
    changes = [
        SettingChange(
            section=section,
            name=name,
            was=_shown(settings, section, name),
            would_be=_shown(changed, section, name),
            overridden_by=origin if (origin := settings.origin(section, name)) in _STRONGER else None,
        )
        for section, name, _ in _fields()
        if getattr(settings.section(section), name) != getattr(changed.section(section), name)
    ]
    return SettingsCheck(file=str(settings_file().absolute()), changes=changes)


def _infos(settings: Settings) -> Iterator[SettingInfo]:
    for section, name, field in _fields():
        yield SettingInfo(
            section=section,
            name=name,
            value=_shown(settings, section, name),
            default=_shown(Settings.model_construct(), section, name),
            origin=settings.origin(section, name),
            variable=f"STREAMAPP_{section.upper()}__{name.upper()}",
            unit=next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), None),
            allowed=type_text(field.annotation, name, {}) + limits_text(field),
            description=field.description or "",
        )


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, setting in model.model_fields.items():
            yield section, name, setting


def _shown(settings: Settings, section: str, name: str) -> str | None:
    value: JsonValue = settings.section(section).model_dump(mode="json", include={name})[name]
    return None if value is None else _toml(value)


def _toml(value: JsonValue) -> str:
    """A value as TOML 1.0 has it, on one line. What is unset in a table is left out."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items() if inner is not None)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(redact(value) if isinstance(value, str) else value, ensure_ascii=False)
