"""Placeholder on the way: every model stays loaded once it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from streamapp.zoo.base import ModelSession


class _Lease:
    def __init__(self, sessions: Mapping[str, ModelSession]) -> None:
        self.sessions = sessions

    def release(self) -> None:
        pass


class AlwaysLoaded:
    def __init__(self, load: Callable[[str], ModelSession]) -> None:
        self._load = load
        self._sessions: dict[str, ModelSession] = {}
        self._lock = asyncio.Lock()

    async def lease(self, variants: Sequence[str], *, deadline_s: float) -> _Lease:  # noqa: ARG002
        async with self._lock:
            for name in variants:
                if name not in self._sessions:
                    self._sessions[name] = await asyncio.to_thread(self._load, name)
        return _Lease({name: self._sessions[name] for name in variants})

    async def close(self) -> None:
        for session in self._sessions.values():
            session.close()
