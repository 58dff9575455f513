"""FastRTC's minimal example, a handler that flips the picture, without its Gradio page. Runs in its own environment.

Usage: python fastrtc_flip.py PORT. POST /webrtc/offer is FastRTC's own; POST /start/{webrtc_id} does what its page
does once connected: until then FastRTC returns pictures without calling the handler.
"""

from __future__ import annotations

import os
import sys

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastrtc import Stream  # type: ignore[import-not-found]  # lives in the peer's own environment
from numpy.typing import NDArray

LOOPBACK = "127.0.0.1"


def flip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.flip(image, axis=0)


stream = Stream(
    handler=flip,
    modality="video",
    mode="send-receive",
    concurrency_limit=100,
    server_rtc_configuration={"iceServers": []},
    verbose=False,
)
app = FastAPI()
stream.mount(app)


@app.post("/start/{webrtc_id}")
async def start(webrtc_id: str) -> int:
    stream.set_input(webrtc_id, None)
    return len(stream.connections.get(webrtc_id, []))


if __name__ == "__main__":
    if os.environ.get("BENCH_ADDRESS") == LOOPBACK:
        import aioice.ice

        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [LOOPBACK] if use_ipv4 else []  # noqa: ARG005
    uvicorn.run(app, host=LOOPBACK, port=int(sys.argv[1]), log_level="warning")
