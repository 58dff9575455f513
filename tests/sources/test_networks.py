"""Where cameras that are named over HTTP may be: checked on the address that is connected to, looked up once."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from streamapp.errors import SourceEnded, SourceForbidden, SourceRefused
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering
from streamapp.sources.networks import check_literal, is_allowed, pinned_host
from streamapp.sources.rtsp import RtspSource
from streamapp.sources.url import RtspUrl, parse_untrusted
from tests.coded_video import h264_pictures
from tests.fakes import CollectingOutlet
from tests.rtsp_server import FakeCamera, Fault

DEFAULT = SourceSettings().allowed_networks
LOOPBACK = (ip_network("127.0.0.0/8"),)
EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def camera_at(host: str, port: int = 554) -> RtspUrl:
    url = parse_untrusted(f"rtsp://{host}:{port}/cam", ()).rtsp
    assert url is not None
    return url


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A resolver that gives these answers one after the other; the names asked for."""
    asked: list[str] = []
    left = list(answers)

    async def getaddrinfo(self: object, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        try:
            ip_address(host)
            addresses = [host]
        except ValueError:
            asked.append(host)
            addresses = left.pop(0)
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [(family[ip_address(a).version], socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", ["10.1.2.3", "172.31.0.1", "192.168.178.20", "100.64.1.1", "fd00::5"])
def test_private_networks_are_allowed_by_default(address: str) -> None:
    assert is_allowed(ip_address(address), DEFAULT)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::"),
        *("255.255.255.255", "240.0.0.1", "8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:192.168.1.1"),
    ],
)
def test_others_are_not(address: str) -> None:
    assert not is_allowed(ip_address(address), DEFAULT)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"])
def test_everywhere_does_not_mean_this_machine(address: str) -> None:
    assert not is_allowed(ip_address(address), EVERYWHERE)
    own = (ip_network(address),)
    assert is_allowed(ip_address(address), own)
    assert is_allowed(ip_address("8.8.8.8"), EVERYWHERE)


def test_an_address_that_is_no_name_is_refused_at_once() -> None:
    check_literal(camera_at("192.168.1.7"), DEFAULT)
    check_literal(camera_at("camera.lan"), DEFAULT)
    for host in ("127.0.0.1", "[::1]", "8.8.8.8"):
        with pytest.raises(SourceForbidden, match=r"sources\.allowed_networks"):
            check_literal(camera_at(host), DEFAULT)


async def test_the_first_allowed_address_of_a_name_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, ["127.0.0.1", "8.8.8.8", "192.168.1.9", "192.168.1.10"], ["169.254.169.254"])
    assert await pinned_host(camera_at("camera.lan"), DEFAULT) == "192.168.1.9"
    with pytest.raises(SourceForbidden):
        await pinned_host(camera_at("camera.lan"), DEFAULT)


async def test_a_name_that_is_not_known_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", unknown)
    with pytest.raises(SourceRefused, match="not known"):
        await pinned_host(camera_at("camera.lan"), DEFAULT)


async def test_a_name_that_changes_its_meaning_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer, where nobody listens, is never asked for; FFmpeg gets the address too."""
    camera = FakeCamera(h264_pictures(10), fault=Fault.HANGS_UP)
    async with camera.serve():
        asked = resolve(monkeypatch, ["127.0.0.1"], ["127.66.66.66"])
        settings = SourceSettings(open_timeout_s=2, read_timeout_s=2, allowed_networks=LOOPBACK)
        outlet = CollectingOutlet()
        source = RtspSource(camera_at("camera.test", camera.port), FrameNumbering("cam"), settings, is_trusted=False)
        with pytest.raises(SourceEnded, match=r"camera\.test"):
            await source.run(outlet)
    assert outlet.frames
    assert asked == ["camera.test"]
    assert f"DESCRIBE rtsp://127.0.0.1:{camera.port}/cam" in "".join(camera.requests)


async def test_nothing_is_sent_to_where_cameras_may_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera()
    async with camera.serve():
        resolve(monkeypatch, ["127.0.0.1"])
        source = RtspSource(
            camera_at("camera.test", camera.port), FrameNumbering("cam"), SourceSettings(), is_trusted=False
        )
        with pytest.raises(SourceForbidden):
            await source.run(CollectingOutlet())
    assert camera.connections == 0
