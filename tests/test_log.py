"""What may stand in a log: one line per record, no control characters, no secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from streamapp.access.tokens import Scope, new_token
from streamapp.log import configure_logging, one_line, redact
from streamapp.sections import LogSettings
from tests.events.receiver import SECRET

NASTY = "a\r\nINFO forged: all is well\x1b[31m\x00\u2028\u202e\x9b"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("json_lines", [False, True])
def test_no_input_can_forge_a_line_or_colour_a_terminal(capsys: pytest.CaptureFixture[str], json_lines: bool) -> None:
    configure_logging(LogSettings(json_lines=json_lines), "INFO")
    try:
        raise ValueError(NASTY)
    except ValueError:
        logging.getLogger("streamapp.test").exception("stream %s failed", NASTY)
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert written.removesuffix("\n").isprintable()
    if json_lines:
        assert json.loads(written)["message"] == f"stream {NASTY} failed"


def test_what_is_printable_stays_as_it_is() -> None:
    assert one_line("Tür 3: käse ✓") == "Tür 3: käse ✓"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:hunter2@cam.lan/live", "rtsp://***@cam.lan/live"),
        ("rtsp://admin@cam.lan/live?token=abc&x=1", "rtsp://***@cam.lan/live?token=***&x=1"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ('{"authorization": "bearer abc"}', '{"authorization": "bearer ***"}'),
        ("nothing secret at all", "nothing secret at all"),
    ],
)
def test_secrets_are_left_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_tokens_of_ours_are_left_out_wherever_they_stand() -> None:
    _, secret = new_token("phone", frozenset({Scope.VIEW}), now=0, lifetime_s=None)
    for text in (secret, f"streamapp={secret};", f"/streams?t={secret}", f"'{secret}'", f"x{secret[5:]} {secret}"):
        assert secret not in redact(text)


def test_the_secrets_of_webhooks_are_redacted() -> None:
    assert redact(f"secret {SECRET}, and more") == "secret whsec_***, and more"


@pytest.mark.parametrize("name", ["httpx", "httpcore", "httpcore.http11"])
def test_libraries_that_log_whole_addresses_are_kept_quiet(name: str) -> None:
    configure_logging(LogSettings(level="DEBUG"), "INFO")
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
