"""`streamapp` for tests on a machine with loopback only: `python -m tests.loopback_server [--slow-ms N] serve ...`.

It differs from the real thing in two ways: ICE may use 127.0.0.1, which aioice leaves out and has no option for, in its
workers too; and the screener can be made to take longer, in this process alone.
"""

from __future__ import annotations

import sys
import time
from unittest.mock import patch

import aioice.ice

from streamapp.cli import main
from streamapp.faces import Detections
from streamapp.frame import Image
from streamapp.workers import launcher
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener


class SlowScreener:
    """A screener that takes `delay_s` longer."""

    def __init__(self, screener: FaceScreener, delay_s: float) -> None:
        self._screener = screener
        self._delay_s = delay_s

    @property
    def variant(self) -> str:
        return self._screener.variant

    @property
    def input_side(self) -> int | None:
        return self._screener.input_side

    def screen(self, rgb: Image, pts_s: float) -> Detections:
        time.sleep(self._delay_s)
        return self._screener.screen(rgb, pts_s)

    def close(self) -> None:
        self._screener.close()


def loopback_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"] if use_ipv4 else []


if __name__ == "__main__":
    aioice.ice.get_host_addresses = loopback_addresses
    launcher.PROGRAM = "tests.loopback_worker"
    if sys.argv[1] == "--slow-ms":
        delay_s = float(sys.argv[2]) / 1000
        del sys.argv[1:3]
        patch(
            "streamapp.runtime.open_screener", lambda settings: SlowScreener(open_screener(settings), delay_s)
        ).start()
    main()
