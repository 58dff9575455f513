"""Settings come from defaults, a file and the environment; whatever is not known is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from streamapp import settings_reference
from streamapp.choices import Origin, ScreenRuntime
from streamapp.errors import ExitCode, SettingsError
from streamapp.settings import Settings, load_settings

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_settings_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own and no variables of ours."""
    for name in [name for name in os.environ if name.startswith("STREAMAPP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_leaves_the_machine_by_default() -> None:
    settings = load_settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.webrtc.ice_servers == ()
    assert settings.server.https == "off"


def test_the_environment_beats_the_file_which_beats_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("streamapp.toml").write_text('[server]\nport = 9000\nmax_streams = 3\n[models]\nruntime = "mediapipe"\n')
    monkeypatch.setenv("STREAMAPP_SERVER__PORT", "9001")
    settings = load_settings()
    assert settings.server.port == 9001
    assert settings.server.max_streams == 3
    assert settings.models.runtime is ScreenRuntime.MEDIAPIPE
    assert settings.log.level is None


def test_where_each_value_comes_from_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("streamapp.toml").write_text("[server]\nport = 9000\nmax_streams = 3\n")
    monkeypatch.setenv("STREAMAPP_SERVER__PORT", "9001")
    settings = load_settings().with_options("server", {"host": "::1"})
    names = ("host", "port", "max_streams", "https")
    wanted = [Origin.COMMAND_LINE, Origin.ENVIRONMENT, Origin.FILE, Origin.DEFAULT]
    assert [settings.origin("server", name) for name in names] == wanted
    Path("streamapp.toml").write_text("")
    assert settings.origin("server", "max_streams") is Origin.FILE, "as it was at the start"


def test_lines_of_a_file_are_taken_in_place_of_what_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_GALLERY__POSTGRES_URL", "postgresql://ada:secret@db/x")
    settings = load_settings()
    changed = settings.with_lines("[gallery]\nmin_margin = 0.4\n[server]\nport = 1")
    assert (changed.gallery.min_margin, changed.server.port) == (0.4, 1)
    assert changed.gallery.postgres_url == settings.gallery.postgres_url
    assert (settings.gallery.min_margin, settings.server.port) == (0.5, 8000)


def test_lists_and_tables_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_WEBRTC__ICE_SERVERS", '[{"urls": ["turn:turn.example"], "credential": "secret"}]')
    monkeypatch.setenv("STREAMAPP_SOURCES__BACKOFF_S", "[0.1, 0.2]")
    settings = load_settings()
    assert settings.sources.backoff_s == (0.1, 0.2)
    assert settings.webrtc.ice_servers[0].urls == ("turn:turn.example",)
    assert "secret" not in repr(settings)


def test_the_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text("[server]\nport = 9002\n")
    monkeypatch.setenv("STREAMAPP_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().server.port == 9002
    monkeypatch.setenv("STREAMAPP_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(SettingsError, match=r"gone\.toml, which is not a file"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 1\n", "server.prot"),
        ("[sevrer]\nport = 1\n", "sevrer"),
        ("[server]\nport = 70000\n", "server.port"),
        ('[models]\nruntime = "torch"\n', "models.runtime"),
        ("[server\n", "cannot be read"),
    ],
)
def test_a_wrong_entry_of_the_file_is_named(text: str, told: str) -> None:
    Path("streamapp.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("STREAMAPP_SERVER__PROT", "1", "server.prot"),
        ("STREAMAPP_SEVRER__PORT", "1", "STREAMAPP_SEVRER__PORT is not a setting"),
        ("STREAMAPP_SERVER__PORT", "many", "server.port"),
        ("STREAMAPP_SOURCES__BACKOFF_S", "1,2", 'field "sources" from source "EnvSettingsSource": Extra data'),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)


def test_variables_for_the_tests_are_not_taken_for_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_TEST_SHARED", "/somewhere")
    assert load_settings() == Settings()


def test_the_reference_is_current() -> None:
    told = "run `python -m streamapp.settings_reference > docs/settings.md`"
    assert (CHECKOUT / "docs" / "settings.md").read_text() == settings_reference.reference(), told


def test_every_setting_is_explained() -> None:
    for section, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        for name, setting in field.annotation.model_fields.items():
            assert setting.description, f"{section}.{name}"
            assert f"`STREAMAPP_{section.upper()}__{name.upper()}`" in settings_reference.reference()


def test_what_is_gone_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_SERVER__ALLOW_REMOTE", "true")
    with pytest.raises(SettingsError, match="streamapp token create --name NAME"):
        load_settings()


def test_a_certificate_is_made_or_named_not_both(tmp_path: Path) -> None:
    settings = load_settings()
    with pytest.raises(SettingsError, match="go together"):
        settings.with_options("server", {"tls_cert": tmp_path / "a.pem"})
    with pytest.raises(SettingsError, match="choose"):
        settings.with_options(
            "server", {"tls_cert": tmp_path / "a.pem", "tls_key": tmp_path / "a.key", "https": "auto"}
        )
    assert settings.with_options("server", {"port": 9}).server.port == 9


def test_the_token_for_commands_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAPP_TOKEN", "sapp_x")
    assert load_settings().server.port == 8000


@pytest.mark.parametrize("name", ["max_age_days", "max_bytes"])
def test_a_limit_of_recordings_can_be_lifted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert getattr(load_settings().recording, name) is not None
    Path("streamapp.toml").write_text(f'[recording]\n{name} = "none"\n')
    assert getattr(load_settings().recording, name) is None
    Path("streamapp.toml").unlink()
    monkeypatch.setenv(f"STREAMAPP_RECORDING__{name.upper()}", "none")
    assert getattr(load_settings().recording, name) is None
    monkeypatch.setenv(f"STREAMAPP_RECORDING__{name.upper()}", "much")
    with pytest.raises(SettingsError, match=name):
        load_settings()
