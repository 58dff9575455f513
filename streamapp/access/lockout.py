"""Whoever sends wrong tokens has to wait longer each time."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from streamapp.errors import LockedOut

_log = logging.getLogger(__name__)

FREE_TRIES = 5
MAX_DELAY_S = 300.0
FORGET_S = 3600.0
MAX_CLIENTS = 4096


@dataclass(slots=True)
class _Failures:
    count: int
    last_digest: str
    last_s: float
    until_s: float


class Lockout:
    """Counts wrong tokens by client address, IPv6 by its /64. The same wrong token over and over counts once: it is
    somebody's old one, and no guess. Keeps a bounded number of addresses, those seen last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, client: str) -> None:
        """Raises LockedOut."""
        failures = self._failures.get(_network(client))
        left_s = failures.until_s - self._clock() if failures else 0.0
        if left_s > 0:
            wait_s = math.ceil(left_s)
            raise LockedOut(f"too many wrong tokens; wait {wait_s} s", retry_after_s=wait_s)

    def failed(self, client: str, digest: str) -> None:
        """A wrong token came, known here by its digest only."""
        now, network = self._clock(), _network(client)
        failures = self._failures.get(network)
        if failures is None or now - failures.last_s > FORGET_S:
            failures = _Failures(0, "", now, now)
        failures.last_s = now
        if failures.last_digest != digest:
            failures.last_digest = digest
            failures.count += 1
            if failures.count > FREE_TRIES:
                delay_s = min(MAX_DELAY_S, 2.0 ** min(failures.count - FREE_TRIES - 1, 16))
                failures.until_s = now + delay_s
                _log.warning("%d wrong tokens from %s, which has to wait %g s", failures.count, network, delay_s)
        self._failures[network] = failures
        self._failures.move_to_end(network)
        if len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        self._failures.pop(_network(client), None)

    def __len__(self) -> int:
        return len(self._failures)


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
