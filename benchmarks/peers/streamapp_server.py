"""`streamapp` as it is, but able to use 127.0.0.1 for WebRTC where the benchmark has no other address, and to do
without its model, which the peers it is compared with do not have.

Usage: python -m benchmarks.peers.streamapp_server [--no-model] serve --port N
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from benchmarks.isolation import widen_aioice_to_loopback
from streamapp.cli import main
from streamapp.faces import Detections, Detector
from streamapp.frame import Image


class NoScreener:
    """Finds nothing, at no cost."""

    variant = "none"
    input_side = 16

    def screen(self, rgb: Image, pts_s: float) -> Detections:  # noqa: ARG002 - the protocol's
        return Detections.none(Detector.MEDIAPIPE)

    def close(self) -> None:
        pass


if __name__ == "__main__":
    widen_aioice_to_loopback()
    if "--no-model" in sys.argv:
        sys.argv.remove("--no-model")
        patch("streamapp.runtime.open_screener", lambda _: NoScreener()).start()
    main()
