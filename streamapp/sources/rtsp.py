"""A network camera over RTSP or RTSPS (RFC 2326), always over one TCP connection."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from streamapp.errors import SourceTimeout
from streamapp.sections import SourceSettings
from streamapp.sources.av_reader import Delivery, Opening, read
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.rtsp_preflight import preflight
from streamapp.sources.url import RtspUrl

OPTIONS = {
    "rtsp_transport": "tcp",
    # No guessing from the first seconds of the stream: SDP and the first I-frame say it all.
    "probesize": "32",
    "analyzeduration": "0",
    # Not fflags=nobuffer: it throws the first I-frame away.
    "protocol_whitelist": "rtsp,rtsps,rtp,srtp,tcp,tls,udp",
}


class RtspSource:
    """One camera. Before FFmpeg connects, a first connection of our own finds out what is wrong in exact terms and
    refuses redirects, which FFmpeg would follow to any address."""

    live = True

    def __init__(self, url: RtspUrl, numbering: FrameNumbering, settings: SourceSettings) -> None:
        self._url = url
        self._numbering = numbering
        self._settings = settings

    async def run(self, outlet: Outlet) -> None:
        settings, url = self._settings, self._url
        deadline_s = time.monotonic() + settings.open_timeout_s
        async with AsyncExitStack() as connection:
            try:
                async with asyncio.timeout(settings.open_timeout_s):
                    await connection.enter_async_context(preflight(url, verify_tls=settings.verify_tls))
            except TimeoutError:
                raise SourceTimeout(f"{url.redacted} did not answer within {settings.open_timeout_s:g} s") from None
            opening = Opening(
                target=url.with_credentials,
                shown=url.redacted,
                format="rtsp",
                options=OPTIONS | {"tls_verify": "1" if settings.verify_tls else "0"},
                open_timeout_s=max(0.1, deadline_s - time.monotonic()),
                read_timeout_s=settings.read_timeout_s,
                max_pixels=settings.max_pixels,
            )
            await read(opening, outlet, self._numbering, Delivery.LIVE, on_open=connection.aclose)
