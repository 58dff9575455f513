"""Where sources that others name may be: their host is looked up once, checked, and connected to by that address, so
that a name cannot mean one machine when it is checked and another when it is opened (DNS rebinding)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from streamapp.errors import SourceForbidden, SourceRefused
from streamapp.sources.url import RtspUrl

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SPECIAL = ("is_loopback", "is_link_local", "is_multicast", "is_unspecified", "is_reserved")


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks. What is special, as loopback or link-local addresses are, must be
    in one that is so as a whole: 0.0.0.0/0 does not include 127.0.0.1."""
    special = [kind for kind in _SPECIAL if getattr(address, kind)]
    return any(address in network and all(getattr(network, kind) for kind in special) for network in networks)


def check_literal(url: RtspUrl, networks: Sequence[Network]) -> None:
    """Says at once what would be said on the first connection, if the host is an IP address and no name. Raises
    SourceForbidden."""
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        return
    if not is_allowed(address, networks):
        raise _forbidden(url)


async def pinned_host(url: RtspUrl, networks: Sequence[Network]) -> str:
    """The address to connect to. Raises SourceForbidden, and SourceRefused for a name that is not known."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise SourceRefused(f"the host of {url.redacted} is not known; check its name") from None
    for _, _, _, _, (host, *_) in found:
        if is_allowed(ipaddress.ip_address(host), networks):
            return str(host)
    raise _forbidden(url)


def _forbidden(url: RtspUrl) -> SourceForbidden:
    return SourceForbidden(
        f"{url.redacted} is not in a network where cameras may be (setting sources.allowed_networks)"
    )
