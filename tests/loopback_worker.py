"""A worker of `tests.loopback_server`: `streamapp.workers.program` whose ICE may use 127.0.0.1."""

from __future__ import annotations

import sys
from pathlib import Path

import aioice.ice

from streamapp.workers.program import main
from tests.loopback_server import loopback_addresses

if __name__ == "__main__":
    aioice.ice.get_host_addresses = loopback_addresses
    parent, settings, listener, link = map(int, sys.argv[1:5])
    main(parent, settings, listener, link, Path(sys.argv[5]))
