"""An environment of its own for FastRTC, which needs an older Gradio. Built once, from the package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.report import progress

_FOLDER = Path(__file__).parent / ".envs" / "fastrtc"
_PACKAGES = ("fastrtc==0.0.34", "gradio<6", "aiortc==1.16.0")
_DONE = _FOLDER / "complete.txt"


def fastrtc_python() -> Path | None:
    """The interpreter that has FastRTC; None, after saying why, where it cannot be installed."""
    python = _FOLDER / "bin" / "python"
    wanted = " ".join(_PACKAGES)
    if _DONE.is_file() and _DONE.read_text("utf-8") == wanted:
        return python
    progress(f"installing {wanted} into {_FOLDER} (about a minute, once)")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)], check=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES]
        subprocess.run(install, check=True, timeout=900, stdout=sys.stderr)
    except (subprocess.SubprocessError, OSError) as error:
        progress(f"FastRTC cannot be installed here and is left out: {error}")
        return None
    _DONE.write_text(wanted, "utf-8")
    return python
