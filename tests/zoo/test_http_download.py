"""Downloads from a real web server on loopback that cuts lines, changes its mind and lies."""

from __future__ import annotations

import datetime
import errno
import io
import ipaddress
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from streamapp.errors import DownloadFailed
from streamapp.zoo.http_download import download
from tests.web_server import Answer, Asked, FileOnline, WebServer

CONTENT = bytes(range(256)) * 1024


def fetched(url: str, *, expected_bytes: int | None = len(CONTENT), tries: int = 4) -> bytes:
    """Downloads with no pauses between tries."""
    part = io.BytesIO()
    download(url, part, expected_bytes=expected_bytes, on_bytes=lambda *_: None, pauses_s=(0.0,) * (tries - 1))
    return part.getvalue()


def test_a_file_arrives_whole_and_its_progress_is_told() -> None:
    seen: list[tuple[int, int | None]] = []
    part = io.BytesIO()
    with WebServer(FileOnline(CONTENT)) as server:
        download(server.url, part, expected_bytes=None, on_bytes=lambda *progress: seen.append(progress))
    assert part.getvalue() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_a_cut_off_transfer_goes_on_where_it_stopped() -> None:
    with WebServer(FileOnline(CONTENT, cuts=[100_000, 50_000])) as server:
        assert fetched(server.url) == CONTENT
    ranges = [(asked.headers.get("range"), asked.headers.get("if-range")) for asked in server.asked]
    assert ranges == [(None, None), ("bytes=100000-", '"v1"'), ("bytes=150000-", '"v1"')]


def test_a_file_that_changed_meanwhile_is_taken_from_the_start() -> None:
    online = FileOnline(CONTENT, cuts=[100_000])
    newer = CONTENT[::-1]

    def answer(asked: Asked) -> Answer:
        reply = online(asked)
        online.content, online.etag = newer, '"v2"'
        return reply

    with WebServer(answer) as server:
        assert fetched(server.url) == newer


def test_without_a_validator_nothing_is_pieced_together() -> None:
    with WebServer(FileOnline(CONTENT, cuts=[100_000], etag=None)) as server:
        assert fetched(server.url) == CONTENT
    assert [asked.headers.get("range") for asked in server.asked] == [None, None]


def test_a_part_that_was_not_asked_for_is_not_used() -> None:
    def answer(asked: Asked) -> Answer:
        if "range" not in asked.headers:
            return Answer(CONTENT, headers={"ETag": '"v1"'}, cut_after=1000 if len(server.asked) == 1 else None)
        total = len(CONTENT)
        return Answer(CONTENT[5:], status=206, headers={"Content-Range": f"bytes 5-{total - 1}/{total}"})

    with WebServer(answer) as server:
        assert fetched(server.url) == CONTENT


def test_a_transfer_that_never_completes_fails_in_the_end() -> None:
    with (
        WebServer(lambda _: Answer(CONTENT, cut_after=10)) as server,
        pytest.raises(DownloadFailed, match="truncated: 10 of 262144"),
    ):
        fetched(server.url, tries=3)
    assert len(server.asked) == 3


def test_a_file_that_is_too_short_is_not_asked_for_again() -> None:
    with WebServer(lambda _: Answer(b"x" * 10)) as server, pytest.raises(DownloadFailed, match="truncated: 10 bytes"):
        fetched(server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize("say_length", [True, False])
def test_more_than_expected_is_refused(say_length: bool) -> None:
    with (
        WebServer(lambda _: Answer(CONTENT + b"x", say_length=say_length)) as server,
        pytest.raises(DownloadFailed, match="oversize"),
    ):
        fetched(server.url)
    assert len(server.asked) == 1


def test_an_html_page_is_refused() -> None:
    page = Answer(b"<html>sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with WebServer(lambda _: page) as server, pytest.raises(DownloadFailed, match="HTML page"):
        fetched(server.url)
    assert len(server.asked) == 1


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    with (
        WebServer(lambda _: Answer(CONTENT, headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(DownloadFailed, match="gzip"),
    ):
        fetched(server.url)
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_passing_error_is_tried_again_a_lasting_one_is_not() -> None:
    with WebServer(lambda _: Answer(CONTENT, status=503 if len(server.asked) < 3 else 200)) as server:
        assert fetched(server.url) == CONTENT
    assert len(server.asked) == 3
    with WebServer(lambda _: Answer(b"", status=404)) as server, pytest.raises(DownloadFailed, match="404"):
        fetched(server.url)
    assert len(server.asked) == 1


def test_nobody_there_is_said_at_once() -> None:
    with WebServer(lambda _: Answer()) as server:
        address = server.url
    with pytest.raises(DownloadFailed, match=r"cannot connect: .*refused"):
        fetched(address)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "/etc/hostname"])
def test_only_web_addresses_are_opened(url: str) -> None:
    with pytest.raises(DownloadFailed, match="only http and https"):
        fetched(url)


def test_a_redirect_is_followed() -> None:
    with WebServer(FileOnline(CONTENT)) as target:

        def answer(_: Asked) -> Answer:
            return Answer(status=302, headers={"Location": f"{target.url}/there"})

        with WebServer(answer) as server:
            assert fetched(server.url) == CONTENT
    assert [asked.path for asked in target.asked] == ["/there"]


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_the_web_is_refused(target: str) -> None:
    with (
        WebServer(lambda _: Answer(status=302, headers={"Location": target})) as server,
        pytest.raises(DownloadFailed, match=r"redirect|302"),
    ):
        fetched(server.url)


def test_a_redirect_without_end_fails() -> None:
    with (
        WebServer(lambda asked: Answer(status=302, headers={"Location": f"{asked.path}x"})) as server,
        pytest.raises(DownloadFailed, match="302"),
    ):
        fetched(f"{server.url}/")
    assert len(server.asked) < 12


def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = own_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with WebServer(FileOnline(CONTENT)) as plain:

        def answer(asked: Asked) -> Answer:
            if asked.path == "/down":
                return Answer(status=302, headers={"Location": f"{plain.url}/plain"})
            return Answer(CONTENT)

        with WebServer(answer, tls) as server:
            assert fetched(f"{server.url}/stay") == CONTENT
            with pytest.raises(DownloadFailed, match="redirect from https to http"):
                fetched(f"{server.url}/down")
    assert plain.asked == []


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        WebServer(FileOnline(CONTENT), own_certificate(tmp_path)) as server,
        pytest.raises(DownloadFailed, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        fetched(server.url)
    assert server.asked == []


def test_a_file_that_cannot_be_written_is_said_so() -> None:
    with WebServer(FileOnline(CONTENT)) as server, pytest.raises(DownloadFailed, match="cannot write: No space left"):
        download(server.url, FullDisk(), expected_bytes=None, on_bytes=lambda *_: None)
    assert len(server.asked) == 1


class FullDisk(io.BytesIO):
    """A file without room."""

    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def own_certificate(folder: Path) -> ssl.SSLContext:
    """A server context with a certificate for 127.0.0.1 of its own making, left in certificate.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
