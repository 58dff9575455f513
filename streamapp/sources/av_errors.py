"""FFmpeg's errors as this app's. FFmpeg puts the address, password included, into its errors: none of that is kept."""

from __future__ import annotations

import errno

import av.error

from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceDecoderFailed,
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceTimeout,
)

_AUTH = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_NOT_FOUND = (av.error.HTTPNotFoundError, FileNotFoundError, NotADirectoryError)
_TIMEOUT = (av.error.ExitError, TimeoutError)
_LOST = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, EOFError, av.error.EOFError)
_UNSUPPORTED = (
    av.error.DecoderNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.ProtocolNotFoundError,
    av.error.PatchWelcomeError,
    av.error.NotImplementedError,
)
_NOT_MEDIA = (av.error.InvalidDataError, av.error.ArgumentError)
"""The second is what a format that is not on the whitelist gives."""
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_GONE = frozenset({errno.ENODEV, errno.ENXIO})


def mapped(error: av.error.FFmpegError | OSError, shown: str, *, live: bool) -> SourceError:
    """What `error` means for the source shown as `shown`. Raise the result outside the `except` block that caught
    `error`, so that nothing drags the original along."""
    if isinstance(error, _AUTH):
        return SourceAuthFailed(f"{shown} refuses the user name or password")
    if isinstance(error, _NOT_FOUND):
        return SourceNotFound(f"{shown} does not exist; check the path")
    if isinstance(error, _TIMEOUT):
        return SourceTimeout(f"{shown} does not answer in time")
    if isinstance(error, ConnectionRefusedError) or error.errno in _UNREACHABLE:
        return SourceRefused(f"{shown} cannot be reached: {_reason(error)}; check address, port and network")
    if isinstance(error, PermissionError):
        return SourceRefused(f"{shown} may not be read by this user")
    if error.errno == errno.ENOMEM:
        return SourceDecoderFailed(f"{shown} needs more memory to decode than there is (sources.decoder_memory_mb)")
    if error.errno == errno.EBUSY:
        return SourceRefused(f"{shown} is in use by another program")
    if error.errno in _GONE:
        return SourceNotFound(f"{shown} is not connected")
    if isinstance(error, _LOST):
        return SourceEnded(f"{shown} closed the connection")
    if isinstance(error, _UNSUPPORTED) or (not live and isinstance(error, _NOT_MEDIA)):
        return SourceCodecUnsupported(f"{shown} holds no video that can be read here")
    return SourceProtocolError(f"{shown} sends what is not understood: {_reason(error)}")


def _reason(error: av.error.FFmpegError | OSError) -> str:
    return error.strerror or type(error).__name__
