"""The settings: built once at the start and handed down; nothing reads them globally. sections.py says what there is.

Sources, later wins: defaults here, `streamapp.toml` in the working directory (or the file named by STREAMAPP_CONFIG),
environment variables `STREAMAPP_SECTION__NAME`. Unknown names are errors. docs/settings.md is generated from these.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from streamapp.errors import SettingsError
from streamapp.sections import (
    DemoSettings,
    GallerySettings,
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


def load_settings() -> Settings:
    """Reads the settings file and the environment. Raises SettingsError naming each wrong entry."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {named}, which is not a file")
    known = {f"STREAMAPP_{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    for variable in os.environ:
        ours = variable.startswith("STREAMAPP_") and not variable.startswith("STREAMAPP_TEST_")
        if ours and variable.split("__")[0].upper() not in known:
            raise SettingsError(f"environment variable {variable} is not a setting; docs/settings.md lists them all")
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise SettingsError("settings are wrong; " + "; ".join(lines)) from error
    except ValueError as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise SettingsError(f"settings cannot be read: {reason}") from error
