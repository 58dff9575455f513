"""One file over HTTP into an open file; a transfer that is cut off goes on where it stopped (RFC 9110 section 14).

Only http and https; no redirect leads from https to http. What comes is not trusted: the caller checks its hash.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Sequence
from email.message import Message
from typing import IO, BinaryIO, Protocol
from urllib import error, request
from urllib.parse import urlsplit

from streamapp import __version__
from streamapp.errors import DownloadFailed

MAX_BYTES = 4 << 30
"""Nothing larger is taken where the manifest does not say the size."""
_CHUNK_BYTES = 1 << 16
_READ_TIMEOUT_S = 30.0
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total, if known."""


class _CutOff(Exception):
    """The transfer stopped short for a reason that may pass."""


class _Response(Protocol):
    """What urllib's opener returns for http and https."""

    status: int
    headers: Message

    def read(self, amount: int, /) -> bytes: ...

    def close(self) -> None: ...


class _Redirects(request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise DownloadFailed(f"refused the redirect from {old} to {new}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> request.OpenerDirector:
    """urllib's, without the handlers for files, FTP and data addresses."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Transfer:
    def __init__(self, url: str, part: BinaryIO, expected_bytes: int | None, on_bytes: OnBytes) -> None:
        self._url = url
        self._part = part
        self._expected_bytes = expected_bytes
        self._on_bytes = on_bytes
        self._opener = _opener()
        self._validator: str | None = None
        self.received_bytes = 0

    def attempt(self) -> None:
        """Fetches what is missing. Raises _CutOff to be tried again, DownloadFailed if that would not help."""
        headers = {"User-Agent": f"streamapp/{__version__}", "Accept-Encoding": "identity"}
        if self.received_bytes and self._validator:
            headers |= {"Range": f"bytes={self.received_bytes}-", "If-Range": self._validator}
        asked = request.Request(self._url, headers=headers)  # noqa: S310 - the opener has no other schemes
        try:
            response: _Response = self._opener.open(asked, timeout=_READ_TIMEOUT_S)
        except error.HTTPError as failure:
            failure.close()
            if failure.code in _PASSING_STATUSES:
                raise _CutOff(f"HTTP status {failure.code}") from failure
            raise DownloadFailed(f"HTTP status {failure.code}") from failure
        except (OSError, http.client.HTTPException, ValueError) as failure:
            reason = failure.reason if isinstance(failure, error.URLError) else failure
            raise (_CutOff if self.received_bytes else DownloadFailed)(f"cannot connect: {reason}") from failure
        try:
            self._receive(response, self._start(response))
        finally:
            response.close()

    def _start(self, response: _Response) -> int | None:
        """Puts the file where the body belongs. Returns how long the whole will be, if the server says."""
        headers = response.headers
        if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise DownloadFailed("the answer is an HTML page, not a model file")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed(f"the answer is encoded as {headers['Content-Encoding']}, which was not asked for")
        length = headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        if response.status == http.client.PARTIAL_CONTENT:
            part_of = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
            if part_of is None or int(part_of[1]) != self.received_bytes:
                self._restart()
                raise _CutOff("the server sent another part than the one asked for")
            total = int(part_of[2])
        else:
            self._restart()
            tag = headers.get("ETag", "")
            self._validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        self._check_size(total or 0)
        if total is not None and self._expected_bytes is not None and total < self._expected_bytes:
            raise DownloadFailed(f"truncated: {total} bytes, expected {self._expected_bytes}")
        return total

    def _receive(self, response: _Response, total: int | None) -> None:
        while True:
            try:
                chunk = response.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as failure:
                raise _CutOff(f"cut off after {self.received_bytes} bytes: {failure}") from failure
            if not chunk:
                break
            self._check_size(self.received_bytes + len(chunk))
            try:
                self._part.write(chunk)
            except OSError as failure:
                raise DownloadFailed(f"cannot write: {failure.strerror}") from failure
            self.received_bytes += len(chunk)
            self._on_bytes(self.received_bytes, total or self._expected_bytes)
        awaited = total if total is not None else self._expected_bytes
        if awaited is not None and self.received_bytes < awaited:
            raise _CutOff(f"truncated: {self.received_bytes} of {awaited} bytes")

    def _check_size(self, size_bytes: int) -> None:
        limit = MAX_BYTES if self._expected_bytes is None else self._expected_bytes
        if size_bytes > limit:
            raise DownloadFailed(f"oversize: at least {size_bytes} bytes, expected {limit} at most")

    def _restart(self) -> None:
        self._part.seek(0)
        self._part.truncate()
        self.received_bytes = 0


def download(
    url: str,
    part: BinaryIO,
    *,
    expected_bytes: int | None,
    on_bytes: OnBytes,
    pauses_s: Sequence[float] = _PAUSES_S,
) -> None:
    """Writes what is at `url` to `part`, an empty file. Tries again, as often as there are pauses, after an
    interruption or a passing error of the server. Raises DownloadFailed with the reason; never says the address."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadFailed("only http and https addresses are opened")
    transfer = _Transfer(url, part, expected_bytes, on_bytes)
    interruption: _CutOff | None = None
    for pause_s in (0.0, *pauses_s):
        time.sleep(pause_s)
        try:
            transfer.attempt()
        except _CutOff as failure:
            interruption = failure
        else:
            return
    raise DownloadFailed(str(interruption)) from interruption
