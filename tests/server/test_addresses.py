"""Where the server may listen, by which names it is known, and what it proves itself with."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from streamapp.access.tokens import Scope
from streamapp.choices import Https
from streamapp.errors import ExitCode, SettingsError
from streamapp.sections import ServerSettings
from streamapp.server.addresses import announced, certificate_of, check_binding, own_names
from tests.server.visitors import Tokens


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.5"])
def test_loopback_needs_no_token(host: str, tmp_path: Path) -> None:
    check_binding(ServerSettings(host=host), Tokens(tmp_path).keyring)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "cameras.lan", "", "localhost.evil.example"])
def test_anything_else_needs_one_that_is_valid(host: str, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    with pytest.raises(SettingsError, match="streamapp token create --name NAME") as caught:
        check_binding(ServerSettings(host=host), tokens.keyring)
    assert caught.value.exit_code is ExitCode.USAGE
    tokens.make(Scope.VIEW, name="old", now=0, lifetime_s=60)
    with pytest.raises(SettingsError):
        check_binding(ServerSettings(host=host), tokens.keyring)
    tokens.make(Scope.VIEW)
    check_binding(ServerSettings(host=host), tokens.keyring)


def test_on_loopback_only_the_names_of_the_settings_are_known() -> None:
    assert own_names(ServerSettings()) == {"localhost", "127.0.0.1", "::1"}
    assert own_names(ServerSettings(allowed_hosts=("A.example",))) == {"a.example", "127.0.0.1"}


def test_elsewhere_the_machines_own_names_and_addresses_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces = {
        "eth0": [SimpleNamespace(family=socket.AF_INET, address="192.168.1.5")],
        "eth1": [SimpleNamespace(family=socket.AF_INET6, address="fe80::1%eth1")],
        "mac": [SimpleNamespace(family=socket.AF_PACKET, address="00:11:22:33:44:55")],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: interfaces)
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.lan")
    for host in ("0.0.0.0", "::", ""):
        names = own_names(ServerSettings(host=host))
        assert names == {"localhost", "127.0.0.1", "::1", "192.168.1.5", "fe80::1", "box.lan", "box.local"}
    assert "fe80::1" not in own_names(ServerSettings(host="192.168.1.5"))


def test_a_certificate_is_made_only_where_it_is_wanted(tmp_path: Path) -> None:
    kept = tmp_path / "https"
    assert certificate_of(ServerSettings(certificate_dir=kept)) is None
    assert not kept.exists()
    files = certificate_of(ServerSettings(certificate_dir=kept, https=Https.AUTO))
    assert files is not None
    assert files.certificate.parent == kept
    named = certificate_of(ServerSettings(tls_cert=files.certificate, tls_key=files.key))
    assert named == files
    with pytest.raises(SettingsError, match=r"nothing\.pem"):
        certificate_of(ServerSettings(tls_cert=tmp_path / "nothing.pem", tls_key=files.key))


ANSWER = (
    "v=0\r\n"
    "c=IN IP4 172.18.0.3\r\n"
    "a=candidate:6815297761 1 udp 2130706431 172.18.0.3 50007 typ host\r\n"
    "a=candidate:abc 1 udp 1694498815 203.0.113.9 50007 typ srflx raddr 172.18.0.3 rport 50007\r\n"
    "a=end-of-candidates\r\n"
)


def test_peers_are_told_the_announced_addresses_and_the_ports_they_have() -> None:
    told = announced(ANSWER, (ip_address("192.168.1.5"), ip_address("2001:db8::5"))).split("\r\n")
    assert told == [
        "v=0",
        "c=IN IP4 192.168.1.5",
        "a=candidate:68152977610 1 udp 2130706431 192.168.1.5 50007 typ host",
        "a=candidate:68152977611 1 udp 2130706430 2001:db8::5 50007 typ host",
        "a=candidate:abc 1 udp 1694498815 203.0.113.9 50007 typ srflx raddr 172.18.0.3 rport 50007",
        "a=end-of-candidates",
        "",
    ]


def test_without_announced_addresses_peers_are_told_this_machines_own() -> None:
    assert announced(ANSWER, ()) == ANSWER
