"""Where the server listens, and by which names it is known there."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from datetime import UTC, datetime

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
