"""The services: what Compose makes of the file, how they are confined, and that the app takes its settings from it."""

from __future__ import annotations

import ipaddress
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from deploy.dockerfile_steps import read_stages
from streamapp.choices import GalleryBackend, Https
from streamapp.settings import Settings, load_settings
from tests.deploy.compose import DEPLOY, RequiredVariable, prepare, read_compose

NO_HEALTHCHECK = {"mediamtx"}
"""Its image has nothing in it to ask with."""
APPS = ("streamapp", "streamapp-gpu")
SERVICES: list[str] = list(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


@pytest.fixture
def compose(tmp_path: Path) -> Any:
    return read_compose(prepare(tmp_path))


def service(compose: Any, name: str) -> Any:
    return compose["services"][name]


def app_settings(compose: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the app in the container reads: the image's environment, the service's, and the secret file."""
    steps = read_stages()["runtime"].steps
    words = [word for step in steps if step.instruction == "ENV" for word in step.words]
    environment = dict(word.split("=", 1) for word in words) | service(compose, "streamapp")["environment"]
    for name in [name for name in os.environ if name.startswith("STREAMAPP_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("STREAMAPP_"):
            monkeypatch.setenv(name, value.replace("/run/secrets", str(folder / "secrets")))
    return load_settings()


def test_it_is_a_compose_file(compose: Any) -> None:
    assert PyCompose.from_json(json.dumps(compose)).service_names() == SERVICES
    with pytest.raises(ValueError, match="bogus"):
        PyCompose.from_json(json.dumps(compose | {"services": {"a": {"image": "a", "bogus": 1}}}))


def test_without_preparation_it_says_what_to_do() -> None:
    with pytest.raises(RequiredVariable, match=r"run \./prepare first"):
        read_compose({})


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(compose: Any, name: str) -> None:
    found = service(compose, name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert "cap_add" not in found
    assert "privileged" not in found
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["mem_limit"]
    assert found["pids_limit"]
    assert found["profiles"]
    assert not [volume for volume in found["volumes"] if volume.startswith("/")]
    assert all(volume.endswith(":ro") for volume in found["volumes"] if volume.startswith("."))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(APPS)))
def test_other_images_have_a_version_and_a_health_check(compose: Any, name: str) -> None:
    found = service(compose, name)
    tag = found["image"].rpartition(":")[2]
    assert any(character.isdigit() for character in tag)
    assert ("healthcheck" in found) is (name not in NO_HEALTHCHECK)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_machine_only(compose: Any, name: str) -> None:
    for port in service(compose, name).get("ports", []):
        assert ipaddress.ip_address(port.split(":")[0]).is_loopback


def test_secrets_are_files_and_no_values(compose: Any, tmp_path: Path) -> None:
    made = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    used = {secret for found in compose["services"].values() for secret in found.get("secrets", [])}
    assert used == set(compose["secrets"])
    assert {name: entry["file"] for name, entry in compose["secrets"].items()} == {n: f"./secrets/{n}" for n in used}
    assert used - set(made) == {"metrics-token"}, "the server makes this one"
    for name in ("postgres-password", "grafana-password"):
        assert len(made[name]) == 48
        assert made[name] not in json.dumps(compose)


def test_both_apps_are_the_same_but_for_the_gpu(compose: Any) -> None:
    one, other = ({**service(compose, name)} for name in APPS)
    for found in (one, other):
        for name in ("profiles", "image", "build", "deploy", "networks"):
            found.pop(name, None)
    assert one == other
    (device,) = service(compose, "streamapp-gpu")["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_the_image_the_container_and_the_published_ports_agree(compose: Any) -> None:
    app = service(compose, "streamapp")
    first, last = app["sysctls"]["net.ipv4.ip_local_port_range"].split()
    assert app["ports"] == [f"127.0.0.1:{first}-{last}:{first}-{last}/udp" if "udp" in p else p for p in app["ports"]]
    exposed = next(step for step in read_stages()["runtime"].steps if step.instruction == "EXPOSE")
    assert exposed.words == ("8000/tcp", f"{first}-{last}/udp")
    settings = Settings()
    assert int(last) - int(first) + 1 > 2 * (settings.webrtc.max_sessions + settings.webrtc.max_viewers)


def test_the_app_takes_its_settings_from_it(compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = app_settings(compose, tmp_path, monkeypatch)
    assert settings.server.host == "0.0.0.0"
    assert settings.server.https is Https.OFF
    assert settings.server.allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
    assert settings.webrtc.announced_addresses == (ipaddress.ip_address("127.0.0.1"),)
    kept = {Path("/var/lib/streamapp") / path for path in (settings.models.dir, settings.server.token_file.parent)}
    volumes = {Path(volume.split(":")[1]) for volume in service(compose, "streamapp")["volumes"]}
    assert kept | {Path("/var/lib/streamapp")} == volumes


def test_the_gallery_goes_to_postgres_when_that_is_uncommented(
    compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secrets" / "streamapp.toml"
    commented = [
        line for line in file.read_text().splitlines() if line.startswith(("# [gallery]", "# backend", "# postgres"))
    ]
    file.write_text("\n".join(line.removeprefix("# ") for line in commented))
    settings = app_settings(compose, tmp_path, monkeypatch)
    assert settings.gallery.backend is GalleryBackend.POSTGRES
    assert settings.gallery.postgres_url is not None
    password = (tmp_path / "secrets" / "postgres-password").read_text().strip()
    assert settings.gallery.postgres_url.get_secret_value() == f"postgresql://streamapp:{password}@postgres/streamapp"


def test_for_other_machines_it_is_encrypted_and_announced(tmp_path: Path) -> None:
    written = prepare(tmp_path, "192.168.1.5", "cameras.lan")
    assert written["STREAMAPP_BIND"] == "0.0.0.0"
    assert written["STREAMAPP_HTTPS"] == "auto"
    assert json.loads(written["STREAMAPP_HOSTS"])[-2:] == ["192.168.1.5", "cameras.lan"]
    assert json.loads(written["STREAMAPP_ANNOUNCED"]) == ["192.168.1.5"]
    (target,) = json.loads((tmp_path / "secrets" / "targets.json").read_text())
    assert target == {"targets": ["streamapp:8000"], "labels": {"__scheme__": "https"}}


def test_what_was_prepared_stays_and_nobody_else_gets_at_it(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prepare(tmp_path, "192.168.1.5")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
