"""Gradio, the library: whether it is here, and kept from calling home before it is loaded."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

INSTALL = "pip install 'streamapp[demo]'"
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # else it reports each start, and asks for the newest version
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_RESET_EXAMPLES_CACHE": "False",
}


def is_installed() -> bool:
    """Whether Gradio can be imported; does not import it."""
    return find_spec("gradio") is not None


def quieten(folder: Path) -> None:
    """Sets what Gradio and its libraries read from the environment, most of it as they are imported. To be called
    before that. `folder`: where Gradio may write."""
    os.environ.update(_QUIET)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
