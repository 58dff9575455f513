"""What FFmpeg's errors become."""

from __future__ import annotations

import errno

import av.error
import pytest

from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceTimeout,
)
from streamapp.sources.av_errors import mapped

SECRET = "hunter2"
ADDRESS = f"rtsp://admin:{SECRET}@cam/x"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (av.error.HTTPUnauthorizedError, SourceAuthFailed),
        (av.error.HTTPForbiddenError, SourceAuthFailed),
        (av.error.HTTPNotFoundError, SourceNotFound),
        (av.error.ExitError, SourceTimeout),
        (av.error.TimeoutError, SourceTimeout),
        (av.error.ConnectionRefusedError, SourceRefused),
        (av.error.ConnectionResetError, SourceEnded),
        (av.error.BrokenPipeError, SourceEnded),
        (av.error.EOFError, SourceEnded),
        (av.error.DecoderNotFoundError, SourceCodecUnsupported),
        (av.error.PatchWelcomeError, SourceCodecUnsupported),
        (av.error.PermissionError, SourceRefused),
        (av.error.FileNotFoundError, SourceNotFound),
        (av.error.InvalidDataError, SourceProtocolError),
        (av.error.HTTPServerError, SourceProtocolError),
    ],
)
def test_each_error_has_its_meaning_and_keeps_the_password(
    error: type[av.error.FFmpegError], expected: type[SourceError]
) -> None:
    result = mapped(error(1, "failed", ADDRESS), "rtsp://***@cam:554/x", live=True)
    assert type(result) is expected
    assert SECRET not in repr(result)
    assert "rtsp://***@cam:554/x" in str(result)
    assert result.__cause__ is None
    assert result.__context__ is None


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EHOSTUNREACH, SourceRefused),
        (errno.ENETUNREACH, SourceRefused),
        (errno.EBUSY, SourceRefused),
        (errno.ENODEV, SourceNotFound),
        (errno.EIO, SourceProtocolError),
    ],
)
def test_errors_of_the_system_are_told_apart_by_number(number: int, expected: type[SourceError]) -> None:
    assert type(mapped(OSError(number, "failed"), "x", live=True)) is expected


def test_a_file_that_is_no_video_is_an_unsupported_codec() -> None:
    assert type(mapped(av.error.InvalidDataError(1, "failed"), "x", live=False)) is SourceCodecUnsupported
