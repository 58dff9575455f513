"""A publisher or viewer in a process of its own, to be killed: `python -m tests.server.vanishing_peer URL PATH`.

Says `connected` once it is. Offers data and video: sends it to /whip, takes it from anywhere else.
"""

from __future__ import annotations

import asyncio
import sys

import aioice.ice
import httpx

from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer


async def main(url: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        peer = WebPeer(http, path)
        peer.open_channel()
        if path.startswith("/whip"):
            peer.send_video(NumberedTrack())
        else:
            peer.take_video()
        await peer.connect()
        await until(lambda: peer.results)
        print("connected", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    asyncio.run(main(*sys.argv[1:3]))
