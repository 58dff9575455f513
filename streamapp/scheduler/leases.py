"""What a lease holds: sessions that never run more at once than there is room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from streamapp.errors import ModelOutOfMemory
from streamapp.faces import Floats
from streamapp.zoo.base import ModelSession, TensorShape

OnOutOfMemory = Callable[["ResidentSession", str], None]


class ResidentSession:
    """A loaded session with a largest batch: longer ones are run in parts. `on_out_of_memory` is called, on the thread
    that runs it, when the device has no room."""

    def __init__(self, session: ModelSession, largest: int, on_out_of_memory: OnOutOfMemory) -> None:
        self._session = session
        self._largest = largest
        self._on_out_of_memory = on_out_of_memory

    @property
    def variant(self) -> str:
        return self._session.variant

    @property
    def input(self) -> TensorShape:
        return self._session.input

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        return self._session.outputs

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        try:
            if len(batch) <= self._largest:
                return self._session.run(batch)
            parts = [self._session.run(batch[at : at + self._largest]) for at in range(0, len(batch), self._largest)]
        except ModelOutOfMemory as error:
            self._on_out_of_memory(self, str(error))
            raise
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def close(self) -> None:
        self._session.close()


class HeldLease:
    """A lease that was granted."""

    def __init__(self, sessions: Mapping[str, ModelSession], on_release: Callable[[HeldLease], None]) -> None:
        self.sessions = MappingProxyType(dict(sessions))
        self._on_release: Callable[[HeldLease], None] | None = on_release

    def release(self) -> None:
        if self._on_release is not None:
            on_release, self._on_release = self._on_release, None
            on_release(self)
