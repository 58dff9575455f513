"""What the container engine asks: whether the server is alive."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from deploy.healthcheck import is_alive
from streamapp.access.certificate import self_signed


class _Health(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def listening(status: int = 200, certificate: Path | None = None) -> Iterator[int]:
    """A server's port. certificate: a folder for one; the server then speaks TLS."""
    handler = type("_Answers", (_Health,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # plain HTTP where TLS is spoken is expected
        if certificate is not None:
            files = self_signed(certificate, frozenset({"localhost"}), datetime.now(UTC))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.certificate, files.key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_that_answers_is_alive() -> None:
    with listening() as port:
        assert is_alive(port)


def test_also_over_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    with listening(certificate=tmp_path) as port:
        assert is_alive(port)


def test_errors_and_silence_are_no_life() -> None:
    with listening(503) as port:
        assert not is_alive(port)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    assert not is_alive(port)
