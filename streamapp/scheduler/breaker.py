"""Leaves a model alone that keeps failing (circuit breaker, Nygard, "Release It!", 2007). Pure: takes `now_s`."""

from __future__ import annotations

from enum import StrEnum

MAX_FAILURES = 5
REST_S = 30.0


class Circuit(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    """Nothing is tried."""
    HALF_OPEN = "half_open"
    """One call is let through to see whether it is well again."""


class Breaker:
    """Of one model: MAX_FAILURES in a row open it for REST_S."""

    def __init__(self) -> None:
        self._failures = 0
        self._opened_s: float | None = None
        self._is_trying = False
        self.reason = ""
        """The failure that opened it last."""

    def state(self, now_s: float) -> Circuit:
        if self._opened_s is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if now_s - self._opened_s >= REST_S else Circuit.OPEN

    def admits(self, now_s: float) -> bool:
        """Whether a call may be made now. In HALF_OPEN it is the one that tries: its outcome must be told."""
        match self.state(now_s):
            case Circuit.CLOSED:
                return True
            case Circuit.OPEN:
                return False
            case Circuit.HALF_OPEN:
                admitted, self._is_trying = not self._is_trying, True
                return admitted

    def succeeded(self) -> None:
        self._failures, self._opened_s, self._is_trying = 0, None, False

    def failed(self, now_s: float, reason: str) -> None:
        self._failures += 1
        self._is_trying = False
        if self._opened_s is not None or self._failures >= MAX_FAILURES:
            self._opened_s, self.reason = now_s, reason

    def told_nothing(self) -> None:
        """The call that was to try ended without saying anything about the model; no other may tell this."""
        self._is_trying = False

    def retry_in_s(self, now_s: float) -> float:
        """Seconds until a call is let through again."""
        return 0.0 if self._opened_s is None else max(0.0, REST_S - (now_s - self._opened_s))
