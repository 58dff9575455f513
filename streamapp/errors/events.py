"""Events: what cannot be kept, or told to others."""

from __future__ import annotations

from streamapp.errors.base import StreamappError


class EventStoreError(StreamappError):
    """The events could not be read or written."""

    code = "events_failed"
    http_status = 503


class EventStoreUnusable(EventStoreError):
    """The events' file is damaged, of a newer version or of another program. It is left exactly as it is."""

    code = "events_unusable"


class DeliveryFailed(StreamappError):
    """An event did not reach a target; it is tried again, after `retry_after_s` if the target said so."""

    code = "delivery_failed"

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeliveryRefused(StreamappError):
    """A target will not have this event, however often it is sent."""

    code = "delivery_refused"


class TargetGone(DeliveryFailed):
    """A target wants no more events at all."""

    code = "target_gone"
