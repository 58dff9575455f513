"""What holds for a whole process of this app. For programs to call once, at their start."""

from __future__ import annotations

import sys

import cv2

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SWITCH_INTERVAL_S = 0.0005
"""How long a busy Python thread keeps the interpreter from the others. The default, ten times this, makes every call
into FFmpeg or a model wait when one thread is busy."""


def tune_process() -> None:
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have faces and names in it
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)  # streams run side by side; a pool of threads for each small resize costs more than it saves
