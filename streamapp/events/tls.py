"""Whose certificates are trusted when events are sent."""

from __future__ import annotations

import asyncio
import ssl

import certifi


async def tls_context() -> ssl.SSLContext:
    """The system's authorities and, for systems that have none, Mozilla's. Reads files, on another thread."""

    def load() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context

    return await asyncio.to_thread(load)
