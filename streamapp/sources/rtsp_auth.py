"""Answers to a server's challenge for credentials: Basic (RFC 7617) and Digest (RFC 2617, RFC 7616)."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Sequence

_PARAMETER = re.compile(r'([A-Za-z0-9-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"md5": hashlib.md5, "sha-256": hashlib.sha256}


def authorization(
    challenges: Sequence[str], method: str, uri: str, username: str, password: str, *, cnonce: str | None = None
) -> str | None:
    """The Authorization header's value for the first challenge (WWW-Authenticate values) that can be answered, Digest
    before Basic; None if there is none."""
    for challenge in challenges:
        scheme, _, rest = challenge.strip().partition(" ")
        if scheme.lower() == "digest":
            answer = _digest(_parameters(rest), method, uri, username, password, cnonce or secrets.token_hex(8))
            if answer is not None:
                return answer
    if any(challenge.strip().lower().startswith("basic") for challenge in challenges):
        return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
    return None


def _parameters(text: str) -> dict[str, str]:
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(text)}


def _digest(challenge: dict[str, str], method: str, uri: str, username: str, password: str, cnonce: str) -> str | None:
    algorithm = challenge.get("algorithm", "MD5")
    make_hash = _HASHES.get(algorithm.lower())
    qops = [qop.strip() for qop in challenge.get("qop", "").split(",") if qop.strip()]
    if make_hash is None or "nonce" not in challenge or (qops and "auth" not in qops):
        return None

    def digest(*parts: str) -> str:
        return make_hash(":".join(parts).encode()).hexdigest()

    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    identity, request = digest(username, realm, password), digest(method, uri)
    fields = {"username": username, "realm": realm, "nonce": nonce, "uri": uri}
    if qops:
        fields["response"] = digest(identity, nonce, "00000001", cnonce, "auth", request)
    else:
        fields["response"] = digest(identity, nonce, request)
    if "opaque" in challenge:
        fields["opaque"] = challenge["opaque"]
    answer = "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items())
    if "algorithm" in challenge:
        answer += f", algorithm={algorithm}"
    return f'{answer}, qop=auth, nc=00000001, cnonce="{cnonce}"' if qops else answer
