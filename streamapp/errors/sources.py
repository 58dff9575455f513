"""Sources: what cannot be opened, or was lost."""

from __future__ import annotations

from typing import ClassVar

from streamapp.errors.base import ExitCode, StreamappError, UsageError


class SourceError(StreamappError):
    """A source could not be opened or was lost. `retryable` says whether trying again can help,
    `min_retry_s` how long to leave the source alone at least."""

    code = "source_failed"
    exit_code = ExitCode.SOURCE_FAILED
    http_status = 502
    retryable: ClassVar[bool] = True
    min_retry_s: ClassVar[float] = 0.0


class SourceUrlInvalid(SourceError, UsageError):
    """The source's address is not one this app opens. Never retried."""

    code = "source_url_invalid"
    exit_code = ExitCode.USAGE
    http_status = 400
    retryable = False


class SourceRefused(SourceError):
    """Nobody listens at the address, or the host cannot be reached."""

    code = "source_refused"


class SourceForbidden(SourceError):
    """The source is in a network that the settings do not allow. A name may come to mean another machine."""

    code = "source_forbidden"
    http_status = 403
    min_retry_s = 60.0


class SourceTimeout(SourceError):
    """The source did not answer, or stopped sending, within the time limit."""

    code = "source_timeout"


class SourceAuthFailed(SourceError):
    """Wrong or missing credentials. Cameras lock out after a few tries, so the next one waits a minute."""

    code = "source_auth_failed"
    min_retry_s = 60.0


class SourceNotFound(SourceError):
    """The server is there, the stream or the file is not."""

    code = "source_not_found"


class SourceCodecUnsupported(SourceError):
    """The source has no video this app decodes."""

    code = "source_codec_unsupported"
    min_retry_s = 60.0


class SourceTooLarge(SourceError):
    """The picture is larger than the configured limit."""

    code = "source_too_large"
    min_retry_s = 60.0


class SourceProtocolError(SourceError):
    """The source answered, but not with what the protocol asks for."""

    code = "source_protocol"


class SourceDecoderFailed(SourceError):
    """The process that decodes the source crashed, hung, ran out of memory, or could not be started."""

    code = "source_decoder_failed"


class SourceEnded(SourceError):
    """A live source ended by itself."""

    code = "source_ended"


class PublisherGone(SourceEnded):
    """The peer that sent this stream stopped or vanished. It comes back as a new stream, never as this one."""

    code = "publisher_gone"
    retryable = False
