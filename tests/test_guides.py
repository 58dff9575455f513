"""The guides name everything that can go wrong: each code of an error, and each text of the page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest

from streamapp import errors
from streamapp.enrolment.enroller import RefusedBecause
from streamapp.gallery.gate import RefusalCode
from streamapp.gallery.identity_rules import Skip
from streamapp.results import DropReason, IdentityReason
from streamapp.server.description import COMMON_PROBLEMS

CHECKOUT = Path(__file__).parent.parent
GUIDES = CHECKOUT / "docs" / "guides"
SOURCES = sorted((CHECKOUT / "streamapp").rglob("*.py"))
FAILURES = (CHECKOUT / "web" / "failures.js").read_text("utf-8")
PAGE = (GUIDES / "troubleshooting.md").read_text("utf-8")


def missing(codes: Iterable[str]) -> list[str]:
    return sorted(code for code in set(codes) if f"`{code}`" not in PAGE)


def test_every_code_of_an_error_is_explained() -> None:
    codes = [error.code for _, error in inspect.getmembers(errors, inspect.isclass) if hasattr(error, "code")]
    assert len(codes) > 50
    assert not missing(codes)


@pytest.mark.parametrize("reasons", [RefusedBecause, RefusalCode, DropReason, IdentityReason, Skip])
def test_every_reason_is_explained(reasons: type[StrEnum]) -> None:
    assert not missing(reasons)


def test_every_code_of_a_problem_document_is_explained() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES if "server" in path.parts or "demo" in path.parts)
    sent = re.findall(r'problem\(\s*\d+,\s*"(\w+)"', text)
    by_status = re.findall(r'^ {4}\d{3}: "(\w+)",$', text, re.MULTILINE)
    assert "host_not_allowed" in sent
    assert "request_invalid" in by_status
    assert not missing([*sent, *by_status, *(code for codes in COMMON_PROBLEMS.values() for code in codes)])


def test_every_failure_of_the_page_is_explained() -> None:
    camera = FAILURES.split("const CAMERA = {")[1].split("\n};")[0]
    reasons = re.findall(r"^  (\w+): \[", camera, re.MULTILINE)
    pages = "\n".join(path.read_text("utf-8") for path in (CHECKOUT / "web").glob("*.js"))
    codes = re.findall(r'new Failure\(\s*(?:code \|\| )?"(\w+)"', pages)
    assert len(reasons) > 5
    assert {"ice_failed", "page_error", "overloaded"} <= set(codes)
    assert not missing([*codes, *(f"camera_{reason}" for reason in reasons)])
    titles = re.findall(r'^ {2}\w+: \[\s*"([^"]+)",', camera, re.MULTILINE)
    titles += re.findall(r'new Failure\([^"`]*"\w+", "([^"]+)"', FAILURES)
    assert len(titles) > len(reasons) + 5
    assert not [title for title in titles if title not in PAGE]


def test_nothing_is_explained_that_does_not_exist() -> None:
    """A code that was renamed leaves its old name here."""
    known = "\n".join(path.read_text("utf-8") for path in [*SOURCES, *(CHECKOUT / "web").glob("*.js")])
    rows = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("|")]
    named = {code for row in rows for cell in row for code in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", cell)}
    named = {code.removeprefix("camera_") for code in named if not code.startswith(("allow_",))}
    assert len(named) > 80
    assert not sorted(code for code in named if not re.search(rf"\b{code}\b", known))


def test_the_index_names_every_guide() -> None:
    index = (GUIDES / "README.md").read_text("utf-8")
    written = {path.name for path in GUIDES.glob("*.md")} - {"README.md"}
    assert written <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))
