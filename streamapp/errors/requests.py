"""What clients ask for and cannot have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamapp.errors.base import StreamappError, UsageError


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


class ClipInvalid(UsageError):
    """The bytes are not a video that can be read."""

    code = "clip_invalid"
    http_status = 422


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

    def __reduce__(self) -> tuple[Callable[[], Overloaded], tuple[()]]:
        return partial(type(self), str(self), retry_after_s=self.retry_after_s), ()


class WorkerLost(Overloaded):
    """The process that has the stream has ended; it is started again."""

    code = "worker_lost"

    def __init__(self) -> None:
        super().__init__("the process of this stream is being started again", retry_after_s=1)

    def __reduce__(self) -> tuple[Callable[[], Overloaded], tuple[()]]:
        return WorkerLost, ()
