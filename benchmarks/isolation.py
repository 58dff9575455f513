"""A network of the benchmark's own: nothing it starts can reach the outside, and WebRTC gets an address to use.

aioice leaves 127.0.0.1 out. A network namespace with one more address needs no patch anywhere and vanishes with its
last process. Where none can be made, everything runs on loopback, and the servers' aioice is widened to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from benchmarks.report import progress

_VARIABLE = "BENCH_ADDRESS"
_ADDRESS = "10.77.0.1"
LOOPBACK = "127.0.0.1"
_SET_UP = (
    "ip link set lo up && ip link add bench0 type veth peer name bench1 && "
    f"ip addr add {_ADDRESS}/24 dev bench0 && ip link set bench0 up && ip link set bench1 up"
)


def enter(module: str) -> str:
    """Starts this program anew in a network namespace, once; returns the address for WebRTC, or `LOOPBACK`."""
    address = os.environ.get(_VARIABLE)
    if address is not None:
        return address
    command = _namespace_command()
    if command is None:
        progress("no network namespace can be made here: running on loopback, with every server's aioice widened to it")
        os.environ[_VARIABLE] = LOOPBACK
        return LOOPBACK
    os.environ[_VARIABLE] = _ADDRESS
    program = [sys.executable, "-m", module, *sys.argv[1:]]
    return os.execvp(command[0], [*command, "sh", "-c", f'{_SET_UP} && exec "$@"', "sh", *program])


def _namespace_command() -> list[str] | None:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return None
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        tried = subprocess.run([*command, "sh", "-c", _SET_UP], capture_output=True, check=False)
        if tried.returncode == 0:
            return command
    return None


def widen_aioice_to_loopback() -> None:
    """Lets ICE in this process use 127.0.0.1 if that is all there is. For servers and clients of benchmarks only."""
    if os.environ.get(_VARIABLE) != LOOPBACK:
        return
    import aioice.ice

    def loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001 - aioice's signature
        return [LOOPBACK] if use_ipv4 else []

    aioice.ice.get_host_addresses = loopback_only
