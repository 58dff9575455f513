"""docs/api.md says what the API's description says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamapp import api_reference

PAGE = Path(__file__).parent.parent / "docs" / "api.md"


@pytest.fixture(scope="module")
def page() -> str:
    return api_reference.reference()


def test_the_page_is_current(page: str) -> None:
    assert PAGE.read_text("utf-8") == page, "run `python -m streamapp.api_reference > docs/api.md`"


def test_the_page_is_the_same_everywhere(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "streamapp.toml").write_text("[server]\nport = 9\nmax_streams = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMAPP_SERVER__MAX_STREAMS", "3")
    assert api_reference.reference() == page
    assert not re.search(r"/tmp/|/home/|/root/", page)


def test_every_type_that_is_named_is_explained(page: str) -> None:
    headings = {line.removeprefix("### ").lower() for line in page.splitlines() if line.startswith("### ")}
    named = set(re.findall(r"\]\(#([a-z]+)\)", page))
    assert named
    assert named <= headings
