"""The root of the error tree, and what the command line returns."""

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
