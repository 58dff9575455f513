"""Keeps the chatter of native libraries off standard error: they have no switch for it, and a terminal has a progress
bar there."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_one_at_a_time = threading.Lock()

CHATTER = (
    b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    b"Feedback manager requires a model with a single signature inference. Disabling support for feedback tensors.",
)
"""What LiteRT and MediaPipe 0.10.33 say of a model when all is well."""


@contextmanager
def without_chatter() -> Iterator[None]:
    """What this process writes to standard error meanwhile is held back, and passed on at the end without the lines
    known as chatter. Meant for the moments in which a model is opened."""
    with _one_at_a_time, tempfile.TemporaryFile() as held:
        try:
            real = os.dup(_STDERR)
        except OSError:  # closed: nobody listens
            yield
            return
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(real, _STDERR)
            held.seek(0)
            for line in held:
                if not any(known in line for known in CHATTER):
                    os.write(real, line)
            os.close(real)
