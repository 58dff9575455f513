"""aiortc as it comes, with no model: what comes in goes back, or only the picture's number, on the data channel.

Usage: python -m benchmarks.peers.aiortc_echo PORT. POST /offer with the SDP offer as body answers with the SDP answer.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from fastapi import FastAPI, Request, Response

from benchmarks.camera import read_number
from benchmarks.isolation import widen_aioice_to_loopback

app = FastAPI()
_peers: set[RTCPeerConnection] = set()
_tasks: set[asyncio.Task[None]] = set()


class Echo(MediaStreamTrack):
    """Returns every picture and reports its number."""

    kind = "video"

    def __init__(self, track: MediaStreamTrack, channels: list[RTCDataChannel]) -> None:
        super().__init__()
        self._track = track
        self._channels = channels

    async def recv(self) -> VideoFrame:
        frame = await self._track.recv()
        assert isinstance(frame, VideoFrame)
        for channel in self._channels:
            if channel.readyState == "open":
                channel.send(json.dumps({"number": read_number(frame), "timing_ms": {}}))
        return frame


async def _drain(echo: Echo) -> None:
    try:
        while True:
            await echo.recv()
    except MediaStreamError:
        return


@app.post("/offer")
async def offer(request: Request) -> Response:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    _peers.add(pc)
    channels: list[RTCDataChannel] = []
    pc.on("datachannel", channels.append)

    @pc.on("connectionstatechange")
    async def on_state() -> None:
        if pc.connectionState in ("failed", "closed"):
            await pc.close()
            _peers.discard(pc)

    sdp = (await request.body()).decode()
    await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    for transceiver in pc.getTransceivers():
        echo = Echo(transceiver.receiver.track, channels)
        if "a=sendrecv" in sdp:
            pc.addTrack(echo)
        else:
            task = asyncio.create_task(_drain(echo))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
    await pc.setLocalDescription(await pc.createAnswer())
    return Response(pc.localDescription.sdp, media_type="application/sdp")


if __name__ == "__main__":
    widen_aioice_to_loopback()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
