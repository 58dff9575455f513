"""How connections end, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcsctptransport import SCTP_DATA_LAST_FRAG, WEBRTC_BINARY, DataChunk
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import OfferInvalid
from streamapp.sections import WebRtcSettings
from streamapp.server.peers import Peer, PeerEnd, PeerKind
from streamapp.server.sdp import Limits, read_offer
from streamapp.sinks.data_channel import MAX_BYTES_PER_S, MAX_MESSAGE_BYTES
from tests.server.conftest import Bench, StartBench
from tests.server.test_sdp import DATA, SESSION, VIDEO
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer

QUICK = WebRtcSettings(handshake_timeout_s=1.0, idle_timeout_s=1.5)


async def publishing(bench: Bench) -> WebPeer:
    peer = bench.publisher()
    peer.open_channel()
    peer.send_video(NumberedTrack())
    await peer.connect()
    await until(lambda: peer.results, 15)
    return peer


def server_peer(bench: Bench) -> Peer:
    (peer,) = bench.signalling._peers.values()
    return peer


async def gone(bench: Bench, timeout_s: float = 8.0) -> None:
    await until(lambda: not bench.signalling._peers and not bench.signalling._tasks, timeout_s)


# -- strangers ---------------------------------------------------------------------------------------------------------


async def test_foreign_packets_at_its_port_change_nothing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = await publishing(bench)
        answer = SessionDescription.parse(peer.pc.remoteDescription.sdp)
        (address,) = {(found.ip, found.port) for media in answer.media for found in media.ice_candidates}
        dice = random.Random(1)
        kinds = (b"\x00\x01\x00\x00\x21\x12\xa4\x42", b"\x16\xfe\xfd", b"\x17\xfe\xfd", b"\x80\x60", b"\x81\xc8", b"")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(3000):
                stranger.sendto(kinds[number % len(kinds)] + dice.randbytes(dice.randrange(1, 1200)), address)
                if number % 20 == 0:
                    await asyncio.sleep(0)
        frame = peer.results[-1]["frame"]
        await until(lambda: peer.results[-1]["frame"] > frame + 30, 15)
        assert bench.signalling.publishers == 1
        await peer.delete()
        await peer.close()


# -- without a goodbye -------------------------------------------------------------------------------------------------


async def test_a_publisher_that_vanished_is_freed(start_bench: StartBench) -> None:
    async with start_bench(webrtc=QUICK) as bench:
        peer = await publishing(bench)
        ending = server_peer(bench)
        await peer.vanish()
        await gone(bench)
        assert ending.end in (PeerEnd.STREAM_ENDED, PeerEnd.VANISHED)
        assert not bench.runtime.streams
        await peer.close()


async def test_a_viewer_that_vanished_is_freed(start_bench: StartBench) -> None:
    async with start_bench(webrtc=QUICK) as bench:
        bench.add_numbered()
        viewer = bench.viewer()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: viewer.numbers, 15)
        ending = server_peer(bench)
        await viewer.vanish()
        await gone(bench)
        assert ending.end is PeerEnd.VANISHED
        assert len(bench.signalling._feeds) == 0
        await viewer.close()


async def test_a_viewer_that_only_watches_is_not_taken_for_gone(start_bench: StartBench) -> None:
    async with start_bench(webrtc=WebRtcSettings(idle_timeout_s=2.5)) as bench:
        bench.add_numbered()
        viewer = bench.viewer()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: len(viewer.numbers) > 5 * 30, 20)
        assert bench.signalling.viewers == 1
        await viewer.close()


async def test_a_peer_that_never_connects_is_freed(start_bench: StartBench) -> None:
    async with start_bench(webrtc=QUICK) as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        assert (await peer.post(await peer.offer())).status_code == 201
        ending = server_peer(bench)
        await gone(bench)
        assert ending.end is PeerEnd.HANDSHAKE_TIMEOUT
        assert not bench.runtime.streams
        await peer.close()


async def test_a_peer_with_another_certificate_is_freed(start_bench: StartBench) -> None:
    """DTLS fails: the fingerprint in the offer is not that of the peer."""
    async with start_bench(webrtc=QUICK) as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        lines = (await peer.offer()).splitlines()
        wrong = ":".join(["AB"] * 32)
        sdp = "\r\n".join(
            f"a=fingerprint:sha-256 {wrong}" if line.startswith("a=fingerprint") else line for line in lines
        )
        created = await peer.post(sdp + "\r\n")
        ending = server_peer(bench)
        await peer.pc.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
        await gone(bench)
        assert ending.end is PeerEnd.CONNECTION_FAILED
        await peer.close()


# -- data channels -----------------------------------------------------------------------------------------------------


async def test_a_second_channel_ends_the_connection(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = await publishing(bench)
        ending = server_peer(bench)
        peer.pc.createDataChannel("more")
        await gone(bench)
        assert ending.end is PeerEnd.OVER_QUOTA
        await peer.close()


async def test_a_channel_of_another_name_ends_the_connection(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel("control")
        peer.send_video(NumberedTrack())
        await peer.connect()
        await gone(bench)
        await peer.close()


@pytest.mark.parametrize(("size", "count"), [(MAX_MESSAGE_BYTES + 1, 1), (32_000, MAX_BYTES_PER_S // 32_000 + 1)])
async def test_too_much_data_ends_the_connection(start_bench: StartBench, size: int, count: int) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        channel = peer.pc.createDataChannel("results")
        peer.send_video(NumberedTrack())
        await peer.connect()
        await until(lambda: channel.readyState == "open", 15)
        ending = server_peer(bench)
        for _ in range(count):
            channel.send(bytes(size))
        await gone(bench)
        assert ending.end is PeerEnd.OVER_QUOTA
        await peer.close()


async def test_messages_that_never_end_end_the_connection(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = await publishing(bench)
        ending = server_peer(bench)
        sctp: Any = peer.pc.sctp
        await _send_without_end(sctp, MAX_MESSAGE_BYTES * 2)
        await gone(bench)
        assert ending.end is PeerEnd.OVER_QUOTA
        await peer.close()


async def _send_without_end(sctp: Any, size: int) -> None:
    """A message whose last fragment is missing, on a stream of its own."""
    real = DataChunk.__bytes__

    def endless(chunk: DataChunk) -> bytes:
        if chunk.stream_id == 6:
            chunk.flags &= ~SCTP_DATA_LAST_FRAG
        return real(chunk)

    with patch.object(DataChunk, "__bytes__", endless):
        await sctp._send(6, WEBRTC_BINARY, bytes(size))
        await until(lambda: not sctp._outbound_queue, 5)


async def test_a_little_data_is_ignored(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        channel = peer.open_channel()
        peer.send_video(NumberedTrack())
        await peer.connect()
        await until(lambda: peer.results, 15)
        channel.send("hello")
        seen = len(peer.results)
        await until(lambda: len(peer.results) > seen + 10, 15)
        assert bench.signalling.publishers == 1
        await peer.close()


# -- nothing left ------------------------------------------------------------------------------------------------------


def standing() -> dict[str, int]:
    """What a connection could leave behind."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": psutil.Process().num_fds(),
        "connections": sum(isinstance(thing, RTCPeerConnection) for thing in gc.get_objects()),
    }


async def one_visit(bench: Bench, number: int) -> None:
    """Connects in one of several ways and leaves in one of several ways."""
    kind = number % 3
    peer = bench.viewer() if kind == 2 else bench.publisher()
    if kind == 2:
        peer.take_video()
    else:
        peer.send_video(NumberedTrack(), "sendrecv" if kind else "sendonly")
    peer.open_channel()
    await peer.connect()
    await until(lambda: peer.results, 15)
    if number % 2:
        await peer.delete()
    await peer.close()
    await gone(bench)


@pytest.fixture
def no_log() -> Iterator[None]:
    """pytest keeps log records, and with them errors, their tracebacks and whatever those refer to."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
async def test_thirty_visits_leave_nothing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        for number in range(3):  # what is made once and kept: thread pools, caches
            await one_visit(bench, number)
        before = standing()
        print(f"\nbefore: {before}")
        for number in range(30):
            await one_visit(bench, number)
        await until(lambda: all(count <= before[what] for what, count in standing().items()), 10)


@pytest.mark.usefixtures("no_log")
async def test_refused_offers_leave_nothing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        body = "\r\n".join([*SESSION, *VIDEO, "a=extmap:", ""])
        headers = {"Content-Type": "application/sdp"}
        await bench.http.post("/whip", content=body, headers=headers)
        await gone(bench)
        before = standing()
        for _ in range(30):
            assert (await bench.http.post("/whip", content=body, headers=headers)).status_code == 400
        await gone(bench)
        after = standing()
        assert all(after[what] <= before[what] for what in before)


async def test_a_close_that_fails_frees_the_rest(start_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_bench() as bench:
        peer = await publishing(bench)
        real = RTCPeerConnection.close

        async def broken(pc: RTCPeerConnection) -> None:
            await real(pc)
            raise AttributeError("as aiortc does now and then")

        monkeypatch.setattr(server_peer(bench).pc, "close", broken.__get__(server_peer(bench).pc))
        await peer.delete()
        await gone(bench)
        assert not bench.runtime.streams
        await peer.close()


# -- negotiation -------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_aiortc_raises_nothing_that_is_not_mapped(data: st.DataObject) -> None:
    """Offers that pass our own checks and are still wrong."""
    lines = [*SESSION, "a=group:BUNDLE 0 1", *VIDEO, *DATA]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "cut", "digits"]))
        if change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(at, lines[at])
        elif change == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        else:
            lines[at] = "".join("9" if c.isdigit() and data.draw(st.booleans()) else c for c in lines[at])

    async def negotiate() -> None:
        peer = Peer(PeerKind.PUBLISHER, RTCConfiguration(iceServers=[]), WebRtcSettings())
        try:
            with suppress(OfferInvalid):
                offer = read_offer("\r\n".join(lines).encode(), Limits(WebRtcSettings(), from_this_machine=True))
                peer.pc.addTransceiver("video", "recvonly")
                await peer.take_offer(offer)
                await peer.answer()
        finally:
            await peer.free()

    with patch("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]):
        asyncio.run(negotiate())
