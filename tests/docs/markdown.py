"""The documentation as its tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "models/*.md", "recordings/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
)
"""Every page of documentation that is part of the repository."""

_PARSER = MarkdownIt("commonmark").enable("table")
_HTML_LINK = re.compile(r'(?:href|src)="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code and the word after its fence; "" where it is indented instead."""

    language: str
    text: str


def tokens(page: Path) -> Iterator[Token]:
    """Everything in a page, what is inside of paragraphs and tables included."""
    for token in _PARSER.parse(page.read_text()):
        yield token
        yield from token.children or ()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's blocks of code; of these languages alone, if any are named."""
    found = [
        Block(token.info.strip(), token.content) for token in tokens(page) if token.type in ("fence", "code_block")
    ]
    return [block for block in found if not languages or block.language in languages]


def code_spans(page: Path) -> list[str]:
    """What is set as code in the text, on one line each."""
    return [" ".join(token.content.split()) for token in tokens(page) if token.type == "code_inline"]


def links(page: Path) -> list[str]:
    """Where links and pictures point."""
    found = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens(page)]
    html = [link for token in tokens(page) if "html" in token.type for link in _HTML_LINK.findall(token.content)]
    return [link for link in (*found, *html) if link]


def anchors(page: Path) -> set[str]:
    """The fragments by which a page's headings are linked, as GitHub makes them."""
    parsed = list(_PARSER.parse(page.read_text()))
    found: set[str] = set()
    for heading, inline in pairwise(parsed):
        if heading.type == "heading_open":
            text = "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            repeated = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
            found.add(f"{slug}-{repeated}" if repeated else slug)
    return found
