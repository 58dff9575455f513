"""Times as people write them, and as the gallery keeps them: Unix time in seconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from streamapp.errors import EnrolmentInvalid

_MAX_LENGTH = 40


def iso_time(at: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def unix_time(text: str) -> float:
    """Of a date, which lasts until its end in UTC, or of a date and time with its offset, in ISO 8601. Raises
    EnrolmentInvalid for anything else, and for years before 1970."""
    try:
        if len(text) <= len("YYYY-MM-DD"):
            at = datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC)
        else:
            at = datetime.fromisoformat(text[:_MAX_LENGTH])
        seconds = at.timestamp() if at.tzinfo is not None else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < datetime.max.replace(tzinfo=UTC).timestamp():
        raise EnrolmentInvalid(
            "a time is a date (2027-12-31, until its end in UTC) or a date and time with an offset "
            "(2027-12-31T12:00:00+01:00)"
        )
    return seconds
