"""A new address for a source whose old one is only shown redacted: what was hidden goes on to be used, at the same
place only. Another machine is never given the password of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamapp.errors import SourceUrlInvalid
from streamapp.sources.url import RtspUrl, SourceAddress, parse_untrusted

HIDDEN = "***"
"""What stands in a shown address for what is not shown."""


def parse_changed(spec: str, known: SourceAddress, media_dirs: Sequence[Path]) -> SourceAddress:
    """Reads an address that a client made of `known.redacted`, or one of its own. Where its user name and password, or
    all of its path and query, are still hidden, those of `known` stay. Touches the file system. Raises
    SourceUrlInvalid, also where something hidden would go to another scheme, host or port."""
    if spec == known.redacted:
        return known
    address = parse_untrusted(spec, media_dirs)
    if address.rtsp is None or HIDDEN not in spec:
        return address
    url = _restored(address.rtsp, known.rtsp)
    return replace(address, redacted=url.redacted, rtsp=url)


def _restored(url: RtspUrl, known: RtspUrl | None) -> RtspUrl:
    if known is None or _place(url) != _place(known):
        raise SourceUrlInvalid(
            f"{HIDDEN} stands for the secrets of another address; write the user name and password of this one"
        )
    if url.username == HIDDEN:
        if url.password or known.username is None:
            raise SourceUrlInvalid(f"write the user name and password, or leave {HIDDEN}@ as it is shown")
        url = replace(url, username=known.username, password=known.password)
    if _without_userinfo(url).redacted == _without_userinfo(known).redacted:
        return replace(url, resource=known.resource)
    if HIDDEN in url.resource:
        raise SourceUrlInvalid(f"write what {HIDDEN} stands for in the changed path or query")
    return url


def _place(url: RtspUrl) -> tuple[bool, str, int]:
    return url.secure, url.host.lower(), url.port


def _without_userinfo(url: RtspUrl) -> RtspUrl:
    return replace(url, username=None, password=None)
