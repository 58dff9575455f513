"""The settings: built once at the start and handed down; nothing reads them globally. sections.py says what there is.

Sources, later wins: defaults here, `streamapp.toml` in the working directory (or the file named by STREAMAPP_CONFIG),
environment variables `STREAMAPP_SECTION__NAME`. Unknown names are errors. docs/settings.md is generated from these.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streamapp.choices import Origin
from streamapp.cluster_settings import ClusterSettings
from streamapp.errors import SettingsError
from streamapp.event_settings import EventSettings
from streamapp.gallery_settings import GallerySettings, PrivacySettings
from streamapp.sections import (
    DemoSettings,
    LogSettings,
    ModelSettings,
    PipelineSettings,
    RecordingSettings,
    SchedulerSettings,
    ServerSettings,
    SourceSettings,
    WebRtcSettings,
)

CONFIG_VARIABLE = "STREAMAPP_CONFIG"
TOKEN_VARIABLE = "STREAMAPP_TOKEN"  # noqa: S105 - the variable's name, not a token
"""What commands that talk to a server send it."""
DEFAULT_CONFIG = Path("streamapp.toml")


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMAPP_", env_nested_delimiter="__", extra="forbid", frozen=True, env_file=None
    )

    server: ServerSettings = ServerSettings()
    demo: DemoSettings = DemoSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    sources: SourceSettings = SourceSettings()
    pipeline: PipelineSettings = PipelineSettings()
    models: ModelSettings = ModelSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    recording: RecordingSettings = RecordingSettings()
    gallery: GallerySettings = GallerySettings()
    cluster: ClusterSettings = ClusterSettings()
    events: EventSettings = EventSettings()
    privacy: PrivacySettings = PrivacySettings()
    log: LogSettings = LogSettings()
    _origins: dict[tuple[str, str], Origin] = PrivateAttr(default_factory=dict)
    """By section and name; what was given and is not in here, the command line gave."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=settings_file())

    def section(self, name: str) -> BaseModel:
        """A section by its name. Raises SettingsError if there is none."""
        if name not in type(self).model_fields:
            raise SettingsError(f"there is no section [{name}]; docs/settings.md lists them all")
        section = getattr(self, name)
        assert isinstance(section, BaseModel)
        return section

    def origin(self, section: str, name: str) -> Origin:
        """Where the value of a setting comes from."""
        if name not in self.section(section).model_fields_set:
            return Origin.DEFAULT
        return self._origins.get((section, name), Origin.COMMAND_LINE)

    def with_origins(self, origins: Mapping[tuple[str, str], Origin]) -> Settings:
        """The same, knowing where its values come from."""
        settings = self.model_copy()
        settings._origins = {**self._origins, **origins}
        return settings

    def with_lines(self, toml: str) -> Settings:
        """As they would be with these lines of a settings file in place of what is in force. Raises SettingsError."""
        try:
            given = tomllib.loads(toml)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"this is not TOML: {error}") from error
        changed = {}
        for name, values in given.items():
            section = self.section(name)
            if not isinstance(values, dict):
                raise SettingsError(f"{name} is a section: write [{name}] and below it its settings")
            try:
                kept = section.model_dump(exclude_unset=True)
                changed[name] = type(section).model_validate(kept | values)
            except ValidationError as error:
                raise SettingsError(_explained(error, name)) from error
        return self.model_copy(update=changed)

    def with_options(self, section: str, changes: Mapping[str, object]) -> Settings:
        """With other values in a section, given on the command line. Raises SettingsError."""
        old = getattr(self, section)
        kept = old.model_dump(exclude_unset=True)
        try:
            new = type(old).model_validate(kept | dict(changes))
        except ValidationError as error:
            raise SettingsError(f"these options do not fit: {_explained(error)}") from error
        settings = self.model_copy(update={section: new})
        return settings.with_origins({(section, name): Origin.COMMAND_LINE for name in changes})


def settings_file() -> Path:
    """Where the settings file is, or would be."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else DEFAULT_CONFIG


def load_settings() -> Settings:
    """Reads the settings file and the environment. Raises SettingsError naming each wrong entry."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {named}, which is not a file")
    known = {f"STREAMAPP_{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE, TOKEN_VARIABLE}
    for variable in os.environ:
        ours = variable.startswith("STREAMAPP_") and not variable.startswith("STREAMAPP_TEST_")
        if ours and variable.split("__")[0].upper() not in known:
            raise SettingsError(f"environment variable {variable} is not a setting; docs/settings.md lists them all")
    try:
        return Settings().with_origins(_origins())
    except ValidationError as error:
        raise SettingsError(f"settings are wrong; {_explained(error)}") from error
    except ValueError as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise SettingsError(f"settings cannot be read: {reason}") from error


def _origins() -> dict[tuple[str, str], Origin]:
    """Which settings the file has and which the environment, which is stronger."""
    sources: tuple[tuple[PydanticBaseSettingsSource, Origin], ...] = (
        (TomlConfigSettingsSource(Settings, toml_file=settings_file()), Origin.FILE),
        (EnvSettingsSource(Settings), Origin.ENVIRONMENT),
    )
    return {
        (section, name): origin for source, origin in sources for section, names in source().items() for name in names
    }


def _explained(error: ValidationError, section: str = "") -> str:
    places = ((_place((*filter(None, [section]), *item["loc"])), item["msg"]) for item in error.errors())
    return "; ".join(": ".join(filter(None, place)) for place in places)


def _place(names: tuple[int | str, ...]) -> str:
    return ".".join(str(name) for name in names)
