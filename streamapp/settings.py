"""The settings: built once at the start and handed down; nothing reads them globally. sections.py says what there is.

Sources, later wins: defaults here, `streamapp.toml` in the working directory (or the file named by STREAMAPP_CONFIG),
environment variables `STREAMAPP_SECTION__NAME`. Unknown names are errors. docs/settings.md is generated from these.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from streamapp.errors import SettingsError
from streamapp.event_settings import EventSettings
from streamapp.sections import (
    DemoSettings,
    GallerySettings,
    LogSettings,
    ModelSettings,
    PipelineSettings,
    PrivacySettings,
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
    events: EventSettings = EventSettings()
    privacy: PrivacySettings = PrivacySettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get(CONFIG_VARIABLE)
        path = Path(named) if named else DEFAULT_CONFIG
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    def with_server(self, changes: Mapping[str, object]) -> Settings:
        """With other values in the section [server]. Raises SettingsError."""
        kept = self.server.model_dump(exclude_unset=True)
        try:
            server = ServerSettings.model_validate(kept | dict(changes))
        except ValidationError as error:
            raise SettingsError(f"these options do not fit: {_explained(error)}") from error
        return self.model_copy(update={"server": server})


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
        return Settings()
    except ValidationError as error:
        raise SettingsError(f"settings are wrong; {_explained(error)}") from error
    except ValueError as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise SettingsError(f"settings cannot be read: {reason}") from error


def _explained(error: ValidationError) -> str:
    return "; ".join(": ".join(filter(None, (_place(item["loc"]), item["msg"]))) for item in error.errors())


def _place(names: tuple[int | str, ...]) -> str:
    return ".".join(str(name) for name in names)
