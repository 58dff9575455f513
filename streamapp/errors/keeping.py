"""What is kept: recordings and the gallery."""

from __future__ import annotations

from streamapp.errors.base import StreamappError, UsageError


class RecordingFailed(StreamappError):
    """A recording could not be written; the analysis goes on."""

    code = "recording_failed"
    http_status = 507


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
