"""`streamapp` as it is, but able to use 127.0.0.1 for WebRTC where the benchmark has no other address.

Usage: python -m benchmarks.peers.streamapp_server serve --port N
"""

from __future__ import annotations

from benchmarks.isolation import widen_aioice_to_loopback
from streamapp.cli import main

if __name__ == "__main__":
    widen_aioice_to_loopback()
    main()
