"""What holds for a whole process of the app."""

from __future__ import annotations

import subprocess
import sys

AFTER_TUNING = """
import os, resource
from streamapp.tuning import tune_process
before = resource.getrlimit(resource.RLIMIT_CORE)
tune_process()
print(before[1] != 0, resource.getrlimit(resource.RLIMIT_CORE))
os.abort()
"""


def test_no_core_dump_is_written() -> None:
    done = subprocess.run([sys.executable, "-c", AFTER_TUNING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode < 0, done.stderr
    assert "(0, 0)" in done.stdout
