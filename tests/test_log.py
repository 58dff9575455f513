"""What never reaches a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from streamapp.log import configure_logging, redact
from streamapp.sections import LogSettings
from tests.events.receiver import SECRET


def test_the_secrets_of_webhooks_are_redacted() -> None:
    assert redact(f"secret {SECRET}, and more") == "secret whsec_***, and more"


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """What a test changes is put back."""
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept[0], kept[1]


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("name", ["httpx", "httpcore", "httpcore.http11"])
def test_libraries_that_log_whole_addresses_are_kept_quiet(name: str) -> None:
    configure_logging(LogSettings(level="DEBUG"), "INFO")
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
