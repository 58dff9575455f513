"""A room without a network, and a record of everything a program in it tries to reach.

`run_in_silence` starts a program in its own network and mount namespace (namespaces(7)). There, only `lo` is up; the
resolver is ours and records every look-up; and every address there is routes to `lo`, so that a packet sent to a
fixed address is seen too, and refused. The rig runs itself inside: `python tests/silence.py RECORD PROGRAM ARG...`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ETH_P_ALL = 3
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_TCP, _UDP = 6, 17
_END_NAME = "end-of-record.invalid"
_END_CONTACT = ("198.18.0.1", 9)
"""What the rig itself looks up and contacts last (RFC 2544 test network): once seen, all before it has been."""
_END_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class SilentRun:
    """What a program did in there."""

    returncode: int
    stdout: str
    stderr: str
    lookups: tuple[str, ...]
    """Names it asked the resolver for, in order."""
    contacts: tuple[str, ...]
    """`address:port` outside 127.0.0.0/8 and ::1 to which it sent packets, sorted."""


def reason_not_permitted() -> str | None:
    """Why there can be no such room on this machine, or None."""
    for program in ("unshare", "ip"):
        if shutil.which(program) is None:
            return f"the program `{program}` is absent (Debian: util-linux, iproute2)"
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"namespaces are not permitted: {tried.stderr.strip()}"


def run_in_silence(
    command: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> SilentRun:
    """Runs `command` to its end. Raises subprocess.TimeoutExpired after `timeout_s`, RuntimeError if the rig failed."""
    with tempfile.TemporaryDirectory(prefix="silence-") as folder:
        record = Path(folder) / "record.json"
        done = subprocess.run(
            [*_unshare(), sys.executable, str(Path(__file__)), str(record), *command],
            capture_output=True, text=True, check=False, timeout=timeout_s, env=env, cwd=cwd,
        )  # fmt: skip
        if not record.is_file():
            raise RuntimeError(f"the rig failed: {done.stderr}")
        seen = json.loads(record.read_text())
        return SilentRun(done.returncode, done.stdout, done.stderr, tuple(seen["lookups"]), tuple(seen["contacts"]))


def _unshare() -> list[str]:
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    # With --fork --kill-child nothing that was started in the room outlives it.
    return ["unshare", *own_user, "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]


# -- inside the room -------------------------------------------------------------------------------------------------


def _furnish(folder: Path) -> None:
    """Brings `lo` up, routes every address to it and makes 127.0.0.1 the only resolver."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP_RUNNING))
    subprocess.run(["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"], check=True)
    if Path("/proc/net/if_inet6").exists():
        subprocess.run(["ip", "-6", "route", "add", "local", "::/0", "dev", "lo"], check=True)
    for target, text in (
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ):
        source = folder / Path(target).name
        source.write_text(text)
        subprocess.run(["mount", "--bind", str(source), os.path.realpath(target)], check=True)
    if Path("/run/nscd").is_dir():  # its cache would answer through a socket that no namespace cuts off
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run/nscd"], check=True)


class _Recorder:
    """Answers every look-up with "no such name" and writes down who was asked for and who was sent packets."""

    def __init__(self) -> None:
        self.lookups: list[str] = []
        self.contacts: set[str] = set()
        self._end_seen = threading.Event()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 53))
        tcp = socket.create_server(("127.0.0.1", 53))
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        wire.bind(("lo", 0))
        for loop, sock in ((self._answer_udp, udp), (self._answer_tcp, tcp), (self._watch, wire)):
            threading.Thread(target=loop, args=(sock,), daemon=True).start()

    def _answer_udp(self, sock: socket.socket) -> None:
        while True:
            query, peer = sock.recvfrom(4096)
            sock.sendto(self._no_such_name(query), peer)

    def _answer_tcp(self, server: socket.socket) -> None:
        while True:
            with server.accept()[0] as sock:
                query = sock.recv(4096)[2:]
                answer = self._no_such_name(query)
                sock.sendall(struct.pack("!H", len(answer)) + answer)

    def _no_such_name(self, query: bytes) -> bytes:
        """RFC 1035 section 4.1: the same question with QR and RA set and RCODE 3."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode(errors="replace"))
            at += 1 + query[at]
        self.lookups.append(".".join(labels))
        return query[:2] + b"\x81\x83" + query[4:6] + b"\0\0\0\0\0\0" + query[12 : at + 5]

    def _watch(self, sock: socket.socket) -> None:
        while True:
            packet = sock.recv(65536)
            contact = _contact_of(packet)
            if contact == "{}:{}".format(*_END_CONTACT):
                self._end_seen.set()
            elif contact:
                self.contacts.add(contact)

    def finish(self) -> None:
        """Waits until everything that was sent so far is in the record. Raises RuntimeError if that cannot be seen."""
        with suppress(socket.gaierror):
            socket.getaddrinfo(_END_NAME, 80)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"end", _END_CONTACT)
        if _END_NAME not in self.lookups or not self._end_seen.wait(_END_WAIT_S):
            raise RuntimeError("the recorder does not see what the rig itself does")
        self.lookups = [name for name in self.lookups if name != _END_NAME]


def _contact_of(packet: bytes) -> str | None:
    """`address:port` a packet is for, unless that is loopback or the packet is an answer from such an address."""
    if packet[0] >> 4 == 4:
        source, target, protocol = packet[12:16], packet[16:20], packet[9]
        payload = packet[(packet[0] & 15) * 4 :]
        name, loopback = socket.inet_ntop(socket.AF_INET, target), target[0] == 127
    else:
        source, target, protocol = packet[8:24], packet[24:40], packet[6]
        payload = packet[40:]
        name, loopback = socket.inet_ntop(socket.AF_INET6, target), target == bytes(15) + b"\1"
    refusal = protocol not in (_TCP, _UDP) or (protocol == _TCP and payload[13] & 4)  # ICMP, or TCP with RST
    if loopback or (refusal and source == target):
        return None
    return f"{name}:{struct.unpack('!H', payload[2:4])[0]}" if protocol in (_TCP, _UDP) else f"{name}:-"


def _main(record: Path, command: list[str]) -> int:
    _furnish(record.parent)
    recorder = _Recorder()
    returncode = subprocess.run(command, check=False).returncode
    recorder.finish()
    record.write_text(json.dumps({"lookups": recorder.lookups, "contacts": sorted(recorder.contacts)}))
    return returncode


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
