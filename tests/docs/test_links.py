"""Every link within the documentation leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead to no file of the repository, or to no heading of the page they name."""
    dead = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        is_page = target.suffix == ".md" and target.is_file()
        is_there = target.exists() and (target == page or target.is_relative_to(ROOT))
        has_fragment = not parts.fragment or (is_page and unquote(parts.fragment) in anchors(target))
        if not (is_there and has_fragment):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_anchor_resolves(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = ROOT / "docs" / "settings.md"
    other = tmp_path / "page.md"
    other.write_text(f"[a](gone.md) [b](https://example.org) [c](#nowhere) [d]({page}#nothing)\n\n# Here\n\n[e](#here)")
    assert dead_links(other) == ["gone.md", "#nowhere", f"{page}#nothing"]


def test_there_are_pages_and_links_to_look_at() -> None:
    assert {"README.md", "architecture.md", "webcam.md"} <= {page.name for page in PAGES}
    assert sum(len(links(page)) for page in PAGES) > 60
