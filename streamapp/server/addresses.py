"""Where the server listens, by which names it is known there, and which addresses it tells its WebRTC peers."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

import psutil

from streamapp.access.certificate import CertificateFiles, self_signed
from streamapp.access.keyring import Keyring
from streamapp.choices import Https
from streamapp.errors import SettingsError
from streamapp.sections import ServerSettings


def check_binding(settings: ServerSettings, keyring: Keyring) -> None:
    """Raises SettingsError for an address that other machines reach while there is no token."""
    if is_loopback(settings.host) or keyring.valid_count:
        return
    raise SettingsError(
        f"{settings.host or 'every address'} can be reached by other machines, and there is no valid token in "
        f"{settings.token_file}. Run `streamapp token create --name NAME` first, or listen on 127.0.0.1"
    )


def own_names(settings: ServerSettings) -> frozenset[str]:
    """Names and addresses of this server, in lower case, IPv6 without brackets. On a loopback address those of the
    settings; elsewhere this machine's too. A page that rebinds its name to ours has a name of its own, none of these.
    """
    names = {*settings.allowed_hosts, settings.host}
    if not is_loopback(settings.host):
        machine = socket.gethostname()
        names |= {machine, f"{machine.partition('.')[0]}.local"}
    if _is_every_address(settings.host):
        found = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
        names |= {a.address.partition("%")[0] for a in found if a.family in (socket.AF_INET, socket.AF_INET6)}
    bare = {name.strip("[]").lower() for name in names}
    return frozenset(name for name in bare if name and not _is_every_address(name))


def certificate_of(settings: ServerSettings) -> CertificateFiles | None:
    """What the server is to prove itself with; None: it speaks plain HTTP. Raises SettingsError."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
        except OSError as error:  # SSLError is one
            raise SettingsError(f"{settings.tls_cert} and {settings.tls_key} cannot be used: {error}") from error
        return CertificateFiles(settings.tls_cert, settings.tls_key)
    if settings.https is Https.AUTO:
        return self_signed(settings.certificate_dir, own_names(settings), datetime.now(UTC))
    return None


def announced(answer: str, addresses: Sequence[IPv4Address | IPv6Address]) -> str:
    """The SDP answer with each host candidate (RFC 8839 section 5.1) at `addresses` instead of its own, the port kept.
    With no addresses it stays as it is."""
    if not addresses:
        return answer
    lines: list[str] = []
    for line in answer.splitlines():
        words = line.split(" ")
        if line.startswith("a=candidate:") and words[6:8] == ["typ", "host"]:
            foundation, component, transport, priority, _, port, *rest = words
            for number, address in enumerate(addresses):
                # Candidates of different addresses have foundations and priorities of their own (RFC 8445 section 5.1).
                ranked = (f"{foundation}{number}", component, transport, str(int(priority) - number))
                lines.append(" ".join((*ranked, str(address), port, *rest)))
        elif line.startswith("c=IN "):
            lines.append(f"c=IN IP{addresses[0].version} {addresses[0]}")
        else:
            lines.append(line)
    return "".join(f"{line}\r\n" for line in lines)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_every_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""
