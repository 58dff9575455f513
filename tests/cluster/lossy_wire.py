"""Two network namespaces and a wire between them that delays and loses packets.

It is a program of ours between two TUN devices (Linux, Documentation/networking/tuntap): netem(8) is a module that not
every kernel has."""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_TUN = "/dev/net/tun"
_PACKET_BYTES = 65_536
ADDRESSES = ("10.77.0.1", "10.77.0.2")


@dataclass(slots=True)
class Wire:
    names: tuple[str, str]
    """Of the namespaces, for `ip netns exec`."""
    delay_s: float
    loss: float
    carried: int = 0
    lost: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def carry(self, ends: tuple[int, int]) -> None:
        """Until stopped. ends: of both TUN devices."""
        chance, order = random.Random(7), itertools.count()
        under_way: list[tuple[float, int, int, bytes]] = []
        while not self._stop.is_set():
            wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 0.1
            for end in select.select(ends, (), (), min(wait_s, 0.1))[0]:
                packet = os.read(end, _PACKET_BYTES)
                if chance.random() < self.loss:
                    self.lost += 1
                    continue
                other = ends[1] if end == ends[0] else ends[0]
                heapq.heappush(under_way, (time.monotonic() + self.delay_s, next(order), other, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, other, packet = heapq.heappop(under_way)
                self.carried += 1
                with suppress(OSError):  # that side is not up
                    os.write(other, packet)

    def stop(self) -> None:
        self._stop.set()


def reason_not_permitted() -> str | None:
    """Why there can be no such wire on this machine, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root here"
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        return f"{_TUN}: {error.strerror}"
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are not permitted: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return None


@contextmanager
def lossy_wire(*, delay_s: float, loss: float) -> Iterator[Wire]:
    """Two namespaces with ADDRESSES, for the length of the block. delay_s: each way; loss: share of packets, 0..1."""
    names = (f"near{os.getpid()}", f"far{os.getpid()}")
    wire, ends = Wire(names, delay_s, loss), []
    try:
        for name, own, other in zip(names, ADDRESSES, reversed(ADDRESSES), strict=True):
            _ip("netns", "add", name)
            device = f"t{name}"[:15]
            end = os.open(_TUN, os.O_RDWR)
            ends.append(end)
            fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH", device.encode(), _IFF_TUN | _IFF_NO_PI))
            _ip("link", "set", device, "netns", name)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "address", "add", own, "peer", other, "dev", device)
            _ip("-n", name, "link", "set", device, "up")
            _ip("-n", name, "route", "add", "default", "dev", device)
        carrying = threading.Thread(target=wire.carry, args=((ends[0], ends[1]),))
        carrying.start()
        yield wire
        wire.stop()
        carrying.join()
    finally:
        wire.stop()
        for end in ends:
            os.close(end)
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
