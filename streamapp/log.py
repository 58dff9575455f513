"""Logging: one line per record, control characters escaped, secrets in addresses redacted."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from streamapp.sections import LogSettings

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]*@")
_SECRET_QUERY = re.compile(r"(?P<name>(?:token|password|passwd|pwd|secret|key|auth)=)[^&\s]+", re.IGNORECASE)
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_BEARER = re.compile(r"(?P<kind>\bbearer\s+)[^\s\"',;]+", re.IGNORECASE)
_OWN_TOKEN = re.compile(r"\bsapp_[A-Za-z0-9_-]{20,}")


def redact(text: str) -> str:
    """Removes user names, passwords and tokens from every address in `text`; secrets of webhooks and access tokens."""
    text = _BEARER.sub(r"\g<kind>***", _OWN_TOKEN.sub("sapp_***", text))
    text = _USERINFO.sub(r"\g<scheme>***@", text)
    text = _WEBHOOK_SECRET.sub("whsec_***", text)
    return _SECRET_QUERY.sub(r"\g<name>***", text)


def one_line(text: str) -> str:
    """Escapes control characters, so that no input can forge a line or colour a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = redact(record.getMessage())
        if record.exc_info:
            message += " | " + redact(self.formatException(record.exc_info))
        return f"{_utc(record)} {record.levelname:<7} {record.name}: {one_line(message)}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _utc(record),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(fields)


def _utc(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def configure_logging(settings: LogSettings, default_level: str) -> None:
    """Sends all records to standard error. Called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.json_lines else _LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level or default_level)
    logging.getLogger("aioice").setLevel(logging.WARNING)  # it logs every candidate pair
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs the whole address of every webhook
    logging.getLogger("httpcore").setLevel(logging.WARNING)  # the same, and every header
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of what a client gets as its answer
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # one line per poll hides what matters
