"""What each request needs: by the beginning of its path and by its method. What no rule names needs a token of every
scope, so a new route is closed until somebody has thought about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamapp.access.tokens import Scope


class Entry(StrEnum):
    """For routes that need no token."""

    ANYONE = "anyone"
    """Tokens are not even looked at."""
    REDUCED = "reduced"
    """Without a token the answer says less."""


@dataclass(frozen=True, slots=True)
class Rule:
    """For `path` itself and what lies below it, by one of `methods`, or by any."""

    path: str
    methods: Collection[str] | None
    needs: Scope | Entry


READ = frozenset({"GET", "HEAD", "OPTIONS"})
RULES = (
    Rule("/health", READ, Entry.REDUCED),
    Rule("/login", None, Entry.ANYONE),
    Rule("/gallery", None, Scope.GALLERY),
    Rule("/metrics", READ, Scope.METRICS),
    Rule("/whip", None, Scope.OPERATE),
    Rule("/whep", None, Scope.VIEW),
    Rule("/streams", READ, Scope.VIEW),
    Rule("/streams", None, Scope.OPERATE),
    Rule("/events", READ, Scope.VIEW),
    Rule("/events", None, Scope.OPERATE),
    Rule("/recordings", READ, Scope.VIEW),
    Rule("/recordings", None, Scope.OPERATE),
    Rule("/detect", None, Scope.OPERATE),
    Rule("/analyze", None, Scope.OPERATE),
    Rule("/demo", None, Scope.OPERATE),
    Rule("/settings", None, Scope.OPERATE),
    Rule("/machine", READ, Scope.OPERATE),
    Rule("/status", READ, Scope.VIEW),
    Rule("/ready", READ, Scope.VIEW),
    Rule("/plan", READ, Scope.VIEW),
    Rule("/openapi.json", READ, Scope.VIEW),
)
"""The first that fits counts. OPTIONS is no exception: it tells the passwords of TURN servers."""
OPEN_FILES = frozenset({"/login.html", "/login.js", "/login.css", "/style.css", "/icon.svg"})
"""What the login page is made of."""
LOGIN_PAGE = "login.html"


class AccessRules:
    """The rules, and the files of the pages, which may be looked at."""

    def __init__(self, page_files: Iterable[str]) -> None:
        """`page_files`: their paths as they are requested."""
        self._page_files = frozenset(page_files)

    @classmethod
    def with_pages(cls, folder: Path) -> AccessRules:
        files = {f"/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()}
        return cls(files | {path.removesuffix("index.html") for path in files if path.endswith("/index.html")})

    def needs(self, method: str, path: str) -> frozenset[Scope] | Entry:
        """What a request needs: all of these scopes."""
        for rule in RULES:
            if (path == rule.path or path.startswith(f"{rule.path}/")) and (
                rule.methods is None or method in rule.methods
            ):
                return rule.needs if isinstance(rule.needs, Entry) else frozenset({rule.needs})
        if path in self._page_files and method in READ:
            return Entry.ANYONE if path in OPEN_FILES else frozenset({Scope.VIEW})
        return frozenset(Scope)
