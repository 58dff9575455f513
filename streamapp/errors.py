"""The one error tree. Foreign exceptions are mapped to these where their library is imported.

Every error has a stable `code` (used in problem+json, status and logs) and says in its message what to do.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    SOURCE_FAILED = 3
    MODEL_INVALID = 4
    OVER_BUDGET = 5


class StreamappError(Exception):
    """Base of all errors of this app."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.CHECK_FAILED
    http_status: ClassVar[int] = 500


class UsageError(StreamappError):
    """The caller asked for something that makes no sense."""

    code = "usage"
    exit_code = ExitCode.USAGE
    http_status = 400


class SettingsError(UsageError):
    code = "settings_invalid"


# -- sources ---------------------------------------------------------------------------------------------------------


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


class SourceEnded(SourceError):
    """A live source ended by itself."""

    code = "source_ended"


class PublisherGone(SourceEnded):
    """The peer that sent this stream stopped or vanished. It comes back as a new stream, never as this one."""

    code = "publisher_gone"
    retryable = False


# -- models ----------------------------------------------------------------------------------------------------------


class ModelError(StreamappError):
    code = "model_failed"
    exit_code = ExitCode.MODEL_INVALID
    http_status = 503


class ModelMissing(ModelError):
    """No file of any variant of a task is installed."""

    code = "model_missing"


class ModelInvalid(ModelError):
    """A model file is not the one the manifest names. It is never loaded."""

    code = "model_invalid"


class ManifestInvalid(ModelError):
    code = "manifest_invalid"


class DownloadFailed(ModelError):
    code = "download_failed"


class RuntimeMissing(ModelError):
    """The library that runs the models is not installed."""

    code = "runtime_missing"


class ModelInputInvalid(ModelError):
    """A model was handed something of the wrong shape. A fault of the caller's, not of the model."""

    code = "model_input_invalid"
    http_status = 500


class ModelOutOfMemory(ModelError):
    """The device had no room for a model or for what it computes."""

    code = "model_out_of_memory"


class ModelHung(ModelError):
    """A model did not answer in time."""

    code = "model_hung"


class ModelSuspended(ModelError):
    """A model failed too often and is left alone for a while."""

    code = "model_suspended"


class DeviceLost(ModelError):
    """The device whose memory models use does not answer any more, or was never there."""

    code = "device_lost"


class OverBudget(ModelError):
    """A model does not fit into the memory budget beside what must stay."""

    code = "over_budget"
    exit_code = ExitCode.OVER_BUDGET


class EmbeddingMismatch(ModelError):
    """Embeddings of different models were to be compared. Their numbers have nothing to do with each other."""

    code = "embedding_mismatch"
    http_status = 500


# -- sessions and streams --------------------------------------------------------------------------------------------


class OfferInvalid(UsageError):
    """The SDP offer, or a trickled SDP fragment, cannot be used."""

    code = "offer_invalid"


class OfferTooLarge(OfferInvalid):
    code = "offer_too_large"
    http_status = 413


class OfferUnsupported(OfferInvalid):
    """A well-formed offer for something this server does not do."""

    code = "offer_unsupported"
    http_status = 422


class PictureInvalid(UsageError):
    """The bytes begin like a picture but are not a whole one."""

    code = "picture_invalid"
    http_status = 422


class PictureUnsupported(UsageError):
    """The bytes are not of a kind of picture that this app reads."""

    code = "picture_unsupported"
    http_status = 415


class PictureTooLarge(UsageError):
    """The picture has more pixels than the configured limit, or a side longer than can be handled."""

    code = "picture_too_large"
    http_status = 413


class NotFound(UsageError):
    code = "not_found"
    http_status = 404


class Conflict(UsageError):
    code = "conflict"
    http_status = 409


class Overloaded(StreamappError):
    """A limit on sessions or streams is reached; `retry_after_s` says when to come back."""

    code = "overloaded"
    http_status = 503

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RecordingFailed(StreamappError):
    """A recording could not be written; the analysis goes on."""

    code = "recording_failed"


# -- gallery ---------------------------------------------------------------------------------------------------------


class GalleryError(StreamappError):
    """The gallery could not be read or written."""

    code = "gallery_failed"
    http_status = 503


class GalleryUnusable(GalleryError):
    """The gallery's file or key is damaged, of a newer version or not the right one. It is left exactly as it is."""

    code = "gallery_unusable"


class GalleryInUse(GalleryError):
    """Another process has the gallery open; only one may write to it."""

    code = "gallery_in_use"


class EnrolmentInvalid(UsageError):
    """A person cannot be enrolled like this: no valid consent, or no usable embedding."""

    code = "enrolment_invalid"
    http_status = 422
