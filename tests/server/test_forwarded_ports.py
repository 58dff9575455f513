"""A server whose own address no peer reaches, as in a container: its UDP ports are forwarded from another address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from streamapp.sections import WebRtcSettings
from tests.server.conftest import StartBench
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer

INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.1"
_Address = tuple[str, int]
_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host")


class PortForward(asyncio.DatagramProtocol):
    """One UDP port of OUTSIDE, as a container engine publishes it: the peer is seen under an address of the engine."""

    def __init__(self, port: int) -> None:
        self.packets = 0
        self._port = port
        self._peer: _Address | None = None
        self._outside: asyncio.DatagramTransport
        self._inside: asyncio.DatagramTransport

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[PortForward]:
        loop, forward = asyncio.get_running_loop(), cls(port)
        forward._outside, _ = await loop.create_datagram_endpoint(lambda: forward, (OUTSIDE, port))
        forward._inside, _ = await loop.create_datagram_endpoint(lambda: forward, (OUTSIDE, 0))
        try:
            yield forward
        finally:
            forward._outside.close()
            forward._inside.close()

    def datagram_received(self, data: bytes, addr: _Address) -> None:
        self.packets += 1
        if addr == (INSIDE, self._port):
            if self._peer is not None:
                self._outside.sendto(data, self._peer)
        else:
            self._peer = addr
            self._inside.sendto(data, (INSIDE, self._port))


class HiddenPeer(WebPeer):
    """Names no address of its own, as a browser that was not given a camera."""

    async def offer(self) -> str:
        return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", await super().offer())


async def test_a_peer_connects_over_forwarded_ports(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [INSIDE])
    async with start_bench(webrtc=WebRtcSettings(announced_addresses=(ip_address(OUTSIDE),))) as bench:
        peer = HiddenPeer(bench.http, "/whip?mode=fast")
        peer.open_channel()
        peer.send_video(NumberedTrack())
        response = await peer.post(await peer.offer())
        assert response.status_code == 201, response.text
        assert INSIDE not in response.text
        ((address, port),) = set(_CANDIDATE.findall(response.text))
        assert address == OUTSIDE
        async with PortForward.open(int(port)) as forward:
            await peer.accept(response)
            await until(lambda: len(peer.results) >= 10, 15)
            assert forward.packets > 10
            await peer.close()
