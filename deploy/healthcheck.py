"""Liveness: whether the server in this container answers /health. Exit code 0 or 1.

Run by the container engine every half minute, so it loads nothing but the standard library.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys

TIMEOUT_S = 4.0


def is_alive(port: int) -> bool:
    """Asks over HTTP, and over TLS if what listens does not speak that; its certificate is its own affair."""
    own = ssl.create_default_context()
    own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
    for connection in (
        http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S / 2),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S / 2, context=own),
    ):
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


if __name__ == "__main__":
    sys.exit(not is_alive(int(os.environ.get("STREAMAPP_SERVER__PORT", "8000"))))
