"""What may be named as a source, and what is refused before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import SourceUrlInvalid
from streamapp.sources.url import SourceKind, parse, parse_untrusted

SECRET = "hunter2"


def test_an_rtsp_address_is_taken_apart_and_put_together_again() -> None:
    url = parse("RTSP://admin:p%40ss@cam.local/live?channel=1").rtsp
    assert url is not None
    assert (url.host, url.port, url.username, url.password) == ("cam.local", 554, "admin", "p@ss")
    assert url.without_credentials == "rtsp://cam.local:554/live?channel=1"
    assert url.with_credentials == "rtsp://admin:p%40ss@cam.local:554/live?channel=1"


def test_rtsps_has_its_own_port_and_ipv6_keeps_its_brackets() -> None:
    url = parse("rtsps://[2001:db8::1]/x").rtsp
    assert url is not None
    assert url.secure
    assert url.without_credentials == "rtsps://[2001:db8::1]:322/x"


@pytest.mark.parametrize(
    "spec",
    [
        f"rtsp://admin:{SECRET}@cam/live",
        f"rtsp://cam/live?token={SECRET}",
        f"rtsp://cam/live?{SECRET}",
        f"rtsp://cam/user=admin_password={SECRET}_channel=1",
    ],
)
def test_nothing_secret_is_shown(spec: str) -> None:
    address = parse(spec)
    assert SECRET not in address.redacted
    assert SECRET not in repr(address).replace(repr(address.path), "")


def test_harmless_queries_stay_visible() -> None:
    assert parse("rtsp://cam/live?channel=2&x=1").redacted == "rtsp://cam:554/live?channel=2&x=***"


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "rtsp://",
        "rtsp:cam/live",
        "rtsp:///live",
        "rtsp://cam:0/x",
        "rtsp://cam:65536/x",
        "rtsp://cam:abc/x",
        "rtsp://a@b@cam/x",
        "rtsp://@cam/x",
        "rtsp://:pw@cam/x",
        "rtsp://cam/x#y",
        "rtsp://cam\\@evil/x",
        "rtsp://cam/x y",
        "rtsp://cam/x\ny",
        "rtsp://cam/\x00",
        "rtsp://cam/%zz",
        "rtsp://cam/x?udp",
        "rtsp://cam/x?a=1&TCP",
        "rtsp://2130706433/x",
        "rtsp://0x7f.1/x",
        "rtsp://127.1/x",
        "rtsp://0177.0.0.1/x",
        "rtsp://[::1%25eth0]/x",
        "rtsp://[zz]/x",
        "rtsp://-cam/x",
        "rtsp://käm/x",
        "rtsp://u%0d%0aX:p@cam/x",
        "rtsp://" + "a" * 3000,
        "http://cam/x",
        "concat:/etc/passwd",
        "lavfi:testsrc",
        "file:/etc/passwd",
        "webcam:",
        "webcam:/dev/sda",
        "webcam:../dev/video0",
        "webcam:-1",
        "webcam:/dev/video0\n",
    ],
)
def test_bad_sources_are_refused(spec: str) -> None:
    with pytest.raises(SourceUrlInvalid):
        parse(spec)


def test_the_refusal_of_a_bad_address_does_not_quote_it() -> None:
    with pytest.raises(SourceUrlInvalid) as caught:
        parse(f"rtsp://admin:{SECRET}@x@cam/live")
    assert SECRET not in str(caught.value)


def test_webcams_are_named_by_number_or_node() -> None:
    assert parse("webcam:0").path == Path("/dev/video0")
    assert parse("webcam:/dev/v4l/by-id/usb-cam-index0").path == Path("/dev/v4l/by-id/usb-cam-index0")


def test_a_file_may_have_a_colon_in_its_name_if_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a:b.mp4").touch()
    assert parse("a:b.mp4").kind is SourceKind.FILE
    with pytest.raises(SourceUrlInvalid):
        parse("a:c.mp4")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "sub").mkdir(parents=True)
    (folder / "clip.mp4").touch()
    (folder / "sub" / "clip.mp4").touch()
    (tmp_path / "secret.mp4").touch()
    (folder / "inside.mp4").symlink_to(folder / "clip.mp4")
    (folder / "outside.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize("name", ["clip.mp4", "sub/clip.mp4", "inside.mp4"])
def test_files_inside_the_media_folders_are_found_by_name(media: Path, name: str) -> None:
    address = parse_untrusted(f"file:{name}", (media.parent / "absent", media))
    assert address.kind is SourceKind.FILE
    assert address.path == (media / name).resolve()


@pytest.mark.parametrize(
    "spec",
    [
        "file:",
        "file:absent.mp4",
        "file:sub",
        "file:../secret.mp4",
        "file:sub/../clip.mp4",
        "file:./clip.mp4",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "file:sub\\clip.mp4",
        "file:outside.mp4",
        "file:up/secret.mp4",
        "file:loop",
        "file:clip.mp4\x00",
        "clip.mp4",
        "/etc/passwd",
        "webcam:0",
        "/dev/video0",
        "http://cam/x",
        "concat:clip.mp4",
        "data:,x",
        "rtsp://[::ffff:127.0.0.1]/x",
        "rtsp://169.254.169.254/x",
        "rtsp://0.0.0.0/x",
        "rtsp://239.1.1.1/x",
    ],
)
def test_what_a_client_may_not_open_is_refused(media: Path, spec: str) -> None:
    with pytest.raises(SourceUrlInvalid) as caught:
        parse_untrusted(spec, (media,))
    assert str(media) not in str(caught.value)


@pytest.mark.parametrize("spec", ["rtsp://10.0.0.5/cam", "rtsps://cam.example/x", "demo"])
def test_cameras_and_the_demo_are_open_to_clients(spec: str) -> None:
    assert parse_untrusted(spec, ()).redacted.startswith(spec.partition("//")[0])
