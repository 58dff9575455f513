"""A network camera over RTSP or RTSPS (RFC 2326), always over one TCP connection."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

from streamapp.choices import DecoderPlace
from streamapp.errors import SourceTimeout
from streamapp.sections import SourceSettings
from streamapp.sources.av_reader import Delivery, read
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.child import reader as child
from streamapp.sources.child.messages import Request
from streamapp.sources.networks import pinned_host
from streamapp.sources.reading import Opening
from streamapp.sources.rtsp_preflight import Progress, preflight, unwatched
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

    def __init__(
        self,
        url: RtspUrl,
        numbering: FrameNumbering,
        settings: SourceSettings,
        *,
        is_trusted: bool = True,
        progress: Progress = unwatched,
    ) -> None:
        """`is_trusted`: whether the camera may be in any network, and not just in those of the settings. progress: told
        how far the first connection comes."""
        self._url = url
        self._is_trusted = is_trusted
        self._numbering = numbering
        self._settings = settings
        self._progress = progress

    async def run(self, outlet: Outlet) -> None:
        settings, url = self._settings, self._url
        deadline_s = time.monotonic() + settings.open_timeout_s
        async with AsyncExitStack() as connection:
            try:
                async with asyncio.timeout(settings.open_timeout_s):
                    host = url.host if self._is_trusted else await pinned_host(url, settings.allowed_networks)
                    looking = preflight(url, host, verify_tls=settings.verify_tls, progress=self._progress)
                    await connection.enter_async_context(looking)
            except TimeoutError:
                raise SourceTimeout(f"{url.redacted} did not answer within {settings.open_timeout_s:g} s") from None
            opening = Opening(
                target=self._reached_at(host).with_credentials,
                shown=url.redacted,
                format="rtsp",
                options=OPTIONS | {"tls_verify": "1" if settings.verify_tls else "0"},
                open_timeout_s=max(0.1, deadline_s - time.monotonic()),
                read_timeout_s=settings.read_timeout_s,
                max_pixels=settings.max_pixels,
            )
            if settings.decoder is DecoderPlace.PROCESS and child.AVAILABLE:
                request = Request(opening, settings.decoder_memory_mb * 1_000_000, url.port)
                await child.read_in_process(request, outlet, self._numbering, on_open=connection.aclose)
            else:
                await read(opening, outlet, self._numbering, Delivery.LIVE, on_open=connection.aclose)

    def _reached_at(self, host: str) -> RtspUrl:
        """The address for FFmpeg. Where certificates are checked it keeps the name, which the certificate must have:
        a machine that the name was turned to has none."""
        keeps_name = self._url.secure and self._settings.verify_tls
        return self._url if keeps_name else replace(self._url, host=host)
