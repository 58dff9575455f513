"""What a user may name as a source, parsed strictly: nothing in it can become an option of FFmpeg or another protocol.

Two readings: `parse` for the command line and the settings, `parse_untrusted` for what comes over HTTP.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from streamapp.errors import SourceUrlInvalid
from streamapp.log import one_line, redact

MAX_LENGTH = 2048
FORMS = "a video file, rtsp://host/path, rtsps://host/path, webcam:0, webcam:/dev/video0 or demo"
UNTRUSTED_FORMS = "rtsp://host/path, rtsps://host/path, file:NAME (from one of the media folders) or demo"

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_WEBCAM = re.compile(r"/dev/(video\d{1,3}|v4l/by-(id|path)/[A-Za-z0-9_.:+-]+)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FFMPEG_TRANSPORT_QUERIES = frozenset({"udp", "tcp", "multicast", "http", "https", "httptunnel"})
_HARMLESS_QUERIES = frozenset({"channel", "subtype", "stream", "profile", "camera", "codec", "resolution"})


class SourceKind(StrEnum):
    FILE = "file"
    RTSP = "rtsp"
    WEBCAM = "webcam"
    DEMO = "demo"


@dataclass(frozen=True, slots=True)
class RtspUrl:
    """A checked RTSP address. `username` and `password` are decoded; `resource` is path and query as given."""

    secure: bool
    host: str
    """A DNS name or an IP literal, IPv6 without its brackets."""
    port: int
    resource: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def without_credentials(self) -> str:
        """The address as it stands in RTSP requests. May still hold secrets in its query: not for showing."""
        scheme = "rtsps" if self.secure else "rtsp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.resource}"

    @property
    def with_credentials(self) -> str:
        """The address as FFmpeg takes it. Never for showing."""
        if self.username is None:
            return self.without_credentials
        userinfo = quote(self.username, safe="") + ":" + quote(self.password or "", safe="")
        return self.without_credentials.replace("://", f"://{userinfo}@", 1)

    @property
    def redacted(self) -> str:
        """The address for people: no credentials, and of the query only what is known to be harmless."""
        address, _, query = self.without_credentials.partition("?")
        shown = redact(address)
        if self.username is not None:
            shown = shown.replace("://", "://***@", 1)
        return shown + ("?" + "&".join(_shown_query(item) for item in query.split("&")) if query else "")


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A parsed source: its kind and, by kind, the RTSP address, the file, or the camera's device node."""

    kind: SourceKind
    redacted: str
    """The source as it may be shown, logged and reported."""
    rtsp: RtspUrl | None = None
    path: Path | None = None
    is_trusted: bool = True
    """Whether it was named by whoever runs the app, and not over HTTP."""


def parse(spec: str) -> SourceAddress:
    """Reads a SOURCE of the command line. Raises SourceUrlInvalid, saying what to write instead."""
    _check_characters(spec, FORMS)
    if spec == SourceKind.DEMO:
        return SourceAddress(SourceKind.DEMO, spec)
    scheme = _scheme(spec)
    if scheme in _DEFAULT_PORTS:
        return _rtsp_address(spec)
    if scheme == SourceKind.WEBCAM:
        return _webcam_address(spec)
    if scheme == SourceKind.FILE:
        raise SourceUrlInvalid("a file is named by its plain path, without file:")
    if scheme is not None and not Path(spec).exists():
        shown = one_line(redact(spec))
        raise SourceUrlInvalid(f"{shown} is neither a file nor a known kind of source; give {FORMS}")
    return SourceAddress(SourceKind.FILE, spec, path=Path(spec))


def parse_untrusted(spec: str, media_dirs: Sequence[Path]) -> SourceAddress:
    """Reads a source that a client named over HTTP. Files only by name and only inside `media_dirs`, links followed
    and checked; no cameras of this machine; no addresses that can only be this machine's neighbourhood services.
    Host names are not looked up here, nor is it checked in which networks they are: that is done on each connection.
    Touches the file system. Raises SourceUrlInvalid."""
    _check_characters(spec, UNTRUSTED_FORMS)
    if spec == SourceKind.DEMO:
        return SourceAddress(SourceKind.DEMO, spec)
    scheme = _scheme(spec)
    if scheme in _DEFAULT_PORTS:
        url = _rtsp_url(spec)
        _refuse_special_ip(url.host)
        return SourceAddress(SourceKind.RTSP, url.redacted, rtsp=url, is_trusted=False)
    if scheme == SourceKind.FILE:
        return SourceAddress(SourceKind.FILE, spec, path=_media_file(spec.partition(":")[2], media_dirs))
    raise SourceUrlInvalid(f"give {UNTRUSTED_FORMS}")


def _check_characters(spec: str, forms: str) -> None:
    if not spec:
        raise SourceUrlInvalid(f"the source is empty; give {forms}")
    if len(spec) > MAX_LENGTH:
        raise SourceUrlInvalid(f"the source is longer than {MAX_LENGTH} characters")
    if not spec.isprintable():
        raise SourceUrlInvalid("the source contains control characters")


def _scheme(spec: str) -> str | None:
    match = _SCHEME.match(spec)
    return match.group(1).lower() if match else None


def _rtsp_address(spec: str) -> SourceAddress:
    url = _rtsp_url(spec)
    return SourceAddress(SourceKind.RTSP, url.redacted, rtsp=url)


def _rtsp_url(spec: str) -> RtspUrl:
    """Messages never quote the address: what is wrong with it may be where the password starts."""
    if not spec.isascii() or any(character in spec for character in ' \\"<>^`{|}'):
        raise SourceUrlInvalid("the RTSP address contains a character that must be percent-encoded")
    if _BAD_ESCAPE.search(spec):
        raise SourceUrlInvalid("the RTSP address contains a % that starts no percent-encoded character; write %25")
    if "#" in spec:
        raise SourceUrlInvalid("the RTSP address contains a #; write %23 if it is part of a name or password")
    try:
        parts = urlsplit(spec)
        port = parts.port
    except ValueError as error:
        raise SourceUrlInvalid("the RTSP address has a bad host or port; write rtsp://host:port/path") from error
    if not parts.netloc or "@" in parts.netloc.rpartition("@")[0]:
        raise SourceUrlInvalid("write rtsp://user:password@host:port/path, with @ in a password as %40")
    if port == 0:
        raise SourceUrlInvalid("the RTSP address has port 0")
    for item in parts.query.split("&"):
        if item.lower() in _FFMPEG_TRANSPORT_QUERIES:
            raise SourceUrlInvalid(f"remove ?{item.lower()} from the RTSP address: the transport is always TCP")
    username, password = _credentials(parts)
    scheme = parts.scheme.lower()
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = _host(parts)
    return RtspUrl(scheme == "rtsps", host, port or _DEFAULT_PORTS[scheme], resource, username, password)


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if "@" not in parts.netloc:
        return None, None
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not username or ":" in username or not (username + password).isprintable():
        raise SourceUrlInvalid("the RTSP address has an @ but no valid user name before it")
    return username, password


def _host(parts: SplitResult) -> str:
    host = _checked_host(parts.hostname or "", bracketed=parts.netloc.rpartition("@")[2].startswith("["))
    if host is None:
        raise SourceUrlInvalid("the RTSP address has no valid host; give a name, a dotted IPv4 or a [bracketed] IPv6")
    return host


def _checked_host(host: str, *, bracketed: bool) -> str | None:
    """The host in its one canonical spelling: others (decimal, octal or hex IPs, zone ids) slip past address rules."""
    labels = host.removesuffix(".").split(".")
    try:
        if bracketed:
            return None if "%" in host else str(ipaddress.IPv6Address(host))
        if labels[-1].isdigit() or labels[-1].startswith("0x"):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        return None
    return host if len(host) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels) else None


def _refuse_special_ip(host: str) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    mapped = isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    reserved = address.is_reserved and not address.is_loopback
    if mapped or address.is_link_local or address.is_multicast or address.is_unspecified or reserved:
        raise SourceUrlInvalid("the RTSP address names an IP that no camera has")


def _webcam_address(spec: str) -> SourceAddress:
    name = spec.partition(":")[2]
    device = f"/dev/video{int(name)}" if name.isdecimal() and name.isascii() and len(name) <= 3 else name
    if not _WEBCAM.fullmatch(device):
        raise SourceUrlInvalid("write webcam:0 or webcam:/dev/video0")
    return SourceAddress(SourceKind.WEBCAM, f"webcam:{device}", path=Path(device))


def _media_file(name: str, media_dirs: Sequence[Path]) -> Path:
    if not name or "\\" in name or name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise SourceUrlInvalid("file:NAME is a name inside one of the media folders")
    for folder in media_dirs:
        try:
            root = folder.resolve(strict=True)
            path = (root / name).resolve(strict=True)
        except (OSError, RuntimeError):  # absent, unreadable, or a loop of links
            continue
        if path.is_relative_to(root) and path.is_file():
            return path
    raise SourceUrlInvalid(f"no file {name} in the media folders (setting server.media_dirs)")


def _shown_query(item: str) -> str:
    name, equals, _ = item.partition("=")
    return item if name.lower() in _HARMLESS_QUERIES else f"{redact(name)}{equals}***" if equals else "***"
