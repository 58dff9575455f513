"""The README shows the way into each guide, in words that the guides' tests follow."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, blocks

README = ROOT / "README.md"
JOURNEYS = re.findall(r"^- (.+) \(\[guide\]\((docs/guides/[\w-]+\.md)\)\)\.$", README.read_text(), re.MULTILINE)
_COMMAND = re.compile(r"`((?:make|streamapp|curl) [^`]+)`")
_PRESS = re.compile(r"press \*\*(.+?)\*\*")


def test_each_of_the_three_ways_in_has_its_guide() -> None:
    assert [guide for _, guide in JOURNEYS] == [
        f"docs/guides/{name}.md" for name in ("webcam", "rtsp-camera", "image-api")
    ]


@pytest.mark.parametrize(("journey", "guide"), JOURNEYS)
def test_what_it_has_one_type_and_press_is_in_the_guide(journey: str, guide: str) -> None:
    typed = {line for block in blocks(ROOT / guide, "sh") for line in block.text.splitlines()}
    commands = _COMMAND.findall(journey)
    assert commands
    assert set(commands) <= typed
    assert all(f"**{button}**" in (ROOT / guide).read_text() for button in _PRESS.findall(journey))
