"""An address that is changed without being known in full: what was hidden stays, and stays where it is."""

from __future__ import annotations

import pytest

from streamapp.errors import SourceUrlInvalid
from streamapp.sources.changed import parse_changed
from streamapp.sources.url import RtspUrl, parse_untrusted

KNOWN = parse_untrusted("rtsp://admin:s3cr3t@camera.lan/live?channel=1&token=t0k3n", ())
SHOWN = "rtsp://***@camera.lan:554/live?channel=1&token=***"


def changed(spec: str) -> RtspUrl:
    url = parse_changed(spec, KNOWN, ()).rtsp
    assert url is not None
    return url


def secrets_of(url: RtspUrl) -> tuple[str | None, str | None, str]:
    return url.username, url.password, url.resource


def test_the_shown_address_is_the_known_one() -> None:
    assert KNOWN.redacted == SHOWN
    assert parse_changed(SHOWN, KNOWN, ()) == KNOWN


@pytest.mark.parametrize(
    ("spec", "secrets"),
    [
        ("rtsp://***@camera.lan:554/sub", ("admin", "s3cr3t", "/sub")),
        ("rtsp://***@CAMERA.lan/sub?channel=2", ("admin", "s3cr3t", "/sub?channel=2")),
        ("rtsp://bob:new@camera.lan:554/live?channel=1&token=***", ("bob", "new", "/live?channel=1&token=t0k3n")),
        ("rtsp://camera.lan:554/live?channel=1&token=***", (None, None, "/live?channel=1&token=t0k3n")),
        ("rtsp://bob:new@other.lan/live", ("bob", "new", "/live")),
        ("rtsp://other.lan/live", (None, None, "/live")),
    ],
)
def test_what_is_hidden_stays_and_what_is_written_counts(
    spec: str, secrets: tuple[str | None, str | None, str]
) -> None:
    url = changed(spec)
    assert secrets_of(url) == secrets
    assert "s3cr3t" not in url.redacted
    assert "t0k3n" not in url.redacted


@pytest.mark.parametrize(
    "spec",
    [
        "rtsp://***@other.lan:554/live",
        "rtsp://***@camera.lan.evil.test:554/live",
        "rtsp://***@camera.lan:555/live",
        "rtsps://***@camera.lan:554/live",
        "rtsp://camera.lan:555/live?channel=1&token=***",
        "rtsp://***:x@camera.lan:554/live",
        "rtsp://***@camera.lan:554/live?channel=2&token=***",
        "rtsp://***@camera.lan:554/***",
        "http://***@camera.lan:554/live",
        "",
    ],
)
def test_nothing_hidden_goes_anywhere_else(spec: str) -> None:
    with pytest.raises(SourceUrlInvalid) as refused:
        parse_changed(spec, KNOWN, ())
    assert "s3cr3t" not in str(refused.value)


def test_the_hidden_part_of_a_camera_without_credentials_is_nobodys() -> None:
    with pytest.raises(SourceUrlInvalid):
        parse_changed("rtsp://***@camera.lan/live", parse_untrusted("rtsp://camera.lan/live", ()), ())
    with pytest.raises(SourceUrlInvalid):
        parse_changed("rtsp://***@camera.lan/live", parse_untrusted("demo", ()), ())


def test_what_is_no_camera_has_nothing_hidden() -> None:
    demo = parse_untrusted("demo", ())
    assert parse_changed("demo", demo, ()) == demo
    assert parse_changed("rtsp://camera.lan/live", demo, ()).rtsp is not None
