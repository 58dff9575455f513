"""The certificate that the server makes for itself."""

from __future__ import annotations

import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from streamapp.access.certificate import LIFETIME, fingerprint, self_signed
from streamapp.errors import SettingsError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("localhost", "127.0.0.1", "[::1]", "cameras.lan", "192.168.1.5")


def names_in(certificate: Path) -> set[str]:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_it_is_for_every_name_and_its_key_is_private(tmp_path: Path) -> None:
    files = self_signed(tmp_path / "https", NAMES, NOW)
    assert names_in(files.certificate) == {"localhost", "127.0.0.1", "::1", "cameras.lan", "192.168.1.5"}
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)


def test_it_is_made_once(tmp_path: Path) -> None:
    first = self_signed(tmp_path, NAMES, NOW).certificate.read_bytes()
    assert self_signed(tmp_path, NAMES, NOW).certificate.read_bytes() == first
    assert self_signed(tmp_path, NAMES[:2], NOW + LIFETIME - timedelta(days=31)).certificate.read_bytes() == first


def test_it_is_made_anew_for_a_new_name_and_keeps_the_old_ones(tmp_path: Path) -> None:
    first = fingerprint(self_signed(tmp_path, NAMES, NOW).certificate)
    files = self_signed(tmp_path, ("192.168.1.77",), NOW)
    assert fingerprint(files.certificate) != first
    assert names_in(files.certificate) >= {"192.168.1.77", "cameras.lan", "192.168.1.5"}


@pytest.mark.parametrize("later", [LIFETIME - timedelta(days=29), LIFETIME * 2, -timedelta(days=2)])
def test_it_is_made_anew_before_it_expires(tmp_path: Path, later: timedelta) -> None:
    first = fingerprint(self_signed(tmp_path, NAMES, NOW).certificate)
    assert fingerprint(self_signed(tmp_path, NAMES, NOW + later).certificate) != first


@pytest.mark.parametrize("damaged", ["server.crt", "server.key"])
def test_it_is_made_anew_if_it_is_damaged(tmp_path: Path, damaged: str) -> None:
    self_signed(tmp_path, NAMES, NOW)
    (tmp_path / damaged).write_text("damaged")
    files = self_signed(tmp_path, NAMES, NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)


def test_the_fingerprint_is_that_of_the_certificate(tmp_path: Path) -> None:
    files = self_signed(tmp_path, NAMES, NOW)
    der = ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    assert fingerprint(files.certificate).replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    with pytest.raises(SettingsError, match="is not a certificate"):
        fingerprint(files.key)


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "https").write_text("not a folder")
    with pytest.raises(SettingsError, match="cannot be written"):
        self_signed(tmp_path / "https", NAMES, NOW)
