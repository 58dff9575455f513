"""A web server on loopback that does as it is told, and one file served well but over bad lines."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Asked:
    """One request a WebServer got. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a WebServer answers. With `cut_after` only so many bytes of the body are sent before the connection ends;
    with `say_length` false the body ends with the connection."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    say_length: bool = True


class WebServer:
    """Answers GET on loopback with what `answer` returns and remembers what was asked."""

    def __init__(self, answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
                outer.asked.append(asked)
                reply = answer(asked)
                self.send_response(reply.status)
                if reply.say_length:
                    self.send_header("Content-Length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # a client that has seen enough hangs up
                    self.wfile.write(reply.body[: reply.cut_after])

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class FileOnline:
    """A file as a good server serves it: with a validator and by ranges (RFC 9110), but each connection may be cut."""

    def __init__(self, content: bytes, *, cuts: Sequence[int] = (), etag: str | None = '"v1"') -> None:
        self.content = content
        self.etag = etag
        self._cuts = list(cuts)

    def __call__(self, asked: Asked) -> Answer:
        cut_after = self._cuts.pop(0) if self._cuts else None
        headers = {"ETag": self.etag} if self.etag else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if wanted is None or asked.headers.get("if-range") != self.etag:
            return Answer(self.content, headers=headers, cut_after=cut_after)
        start, last = int(wanted[1]), len(self.content) - 1
        headers["Content-Range"] = f"bytes {start}-{last}/{len(self.content)}"
        return Answer(self.content[start:], status=206, headers=headers, cut_after=cut_after)
