"""A certificate that signs itself (RFC 5280), for machines without a public name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streamapp.access.token_file import write_private
from streamapp.errors import SettingsError

LIFETIME = timedelta(days=800)
"""Apple's systems refuse more than 825."""
RENEWAL = timedelta(days=30)
CLOCK_SLACK = timedelta(hours=1)
_CERTIFICATE, _KEY = "server.crt", "server.key"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


def self_signed(folder: Path, names: Iterable[str], now: datetime) -> CertificateFiles:
    """The certificate kept in a folder. It is made anew if there is none, if it is about to expire, or if it lacks one
    of `names` (host names and IP addresses); what it was made for before stays in it. Raises SettingsError."""
    files = CertificateFiles(folder / _CERTIFICATE, folder / _KEY)
    wanted = {name.strip("[]").lower() for name in names}
    kept = _kept(files)
    if kept is not None:
        known = _names(kept)
        if wanted <= known and kept.not_valid_before_utc <= now < kept.not_valid_after_utc - RENEWAL:
            return files
        wanted |= known
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, sorted(wanted), now)
    pem = serialization.Encoding.PEM
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        plain = serialization.NoEncryption()
        write_private(files.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        write_private(files.certificate, certificate.public_bytes(pem))
    except OSError as error:
        raise SettingsError(f"the certificate cannot be written to {folder}: {error.strerror}") from error
    return files


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a PEM file, as browsers show it. Raises SettingsError."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{certificate} is not a certificate that can be read: {error}") from error


def _sign(key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "streamapp")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _kept(files: CertificateFiles) -> x509.Certificate | None:
    """The certificate in the files, if the key is there and fits."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    return addresses | {name.lower() for name in found.get_values_for_type(x509.DNSName)}
