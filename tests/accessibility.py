"""Whether everybody can use a page: axe's rules in each look of it, its width, and where the keyboard is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser import DESKTOP, PHONE

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
"""axe's tags for WCAG 2.2, levels A and AA, and what its authors advise beyond."""
ZOOMED = {"width": DESKTOP["width"] // 2, "height": DESKTOP["height"] // 2}
"""What is left of a desktop at 200 %."""
NARROWEST = {"width": 320, "height": 568}
"""WCAG 2.2, 1.4.10: nothing scrolls sideways at this width."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

_RUN = """async (tags) => {
  const { violations } = await axe.run(document, {
    runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'],
    rules: { 'label-content-name-mismatch': { enabled: true } },
  });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary: why }) => `${id} at ${target.join(' ')}: ${help}: ${why}`));
}"""
_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const clips = (element) => ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(element).overflowX);
  const inside = (element) => element && element !== document.body && (clips(element) || inside(element.parentElement));
  return [...document.body.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > width + 1 && !inside(element.parentElement))
    .map((element) => `${element.tagName.toLowerCase()}#${element.id}.${element.className}`);
}"""
_LISTEN = """() => {
  window.said = [];
  for (const region of document.querySelectorAll('[role=status], [role=alert], [role=log], [aria-live]')) {
    new MutationObserver(() => window.said.push(region.textContent)).observe(region, {
      childList: true, subtree: true, characterData: true,
    });
  }
}"""
_FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const top = document.elementFromPoint(x, y);
  const label = element.labels?.[0]?.innerText;
  return {
    id: element.id,
    name: (element.getAttribute('aria-label') ?? label ?? element.innerText ?? '').trim().replace(/\\s+/g, ' '),
    outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    uncovered: Boolean(top) && (element.contains(top) || top.contains(element)),
  };
}"""


@dataclass(frozen=True, slots=True)
class Focus:
    """Where the keyboard is."""

    id: str
    name: str
    outlined: bool
    uncovered: bool
    """The middle of it is on the screen, with nothing over it."""


def assert_accessible(page: Page) -> None:
    """Raises AssertionError with what is wrong with the page as it is now, in light and dark, on a desk and a phone,
    and where it is zoomed."""
    found: list[str] = []
    for name, size in (("desk", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a dict of ints is one of its typed dicts
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found += [f"{name}, {scheme}: {breach}" for breach in _axe(page)]
    page.emulate_media(color_scheme="light")
    found += [f"sideways: {overflow}" for overflow in overflows(page)]
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # as above
    assert not found, "\n".join(found)


def overflows(page: Page) -> list[str]:
    """What is wider than the page: on a phone, on the narrowest screen, at 200 %, and with text of twice the size."""
    found: list[str] = []
    for size in (PHONE, NARROWEST, ZOOMED):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # as above
        found += [f"{size['width']} px: {element}" for element in page.evaluate(_OVERFLOW)]
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # as above
    with large_text(page):
        found += [f"large text: {element}" for element in page.evaluate(_OVERFLOW)]
    return found


@contextmanager
def large_text(page: Page) -> Iterator[None]:
    """Text of twice the size, as a browser's own setting makes it."""
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield
    page.evaluate("document.documentElement.style.fontSize = ''")


def focus(page: Page) -> Focus | None:
    """Where the keyboard is; None if nowhere."""
    found = page.evaluate(_FOCUS)
    return None if found is None else Focus(**found)


def press_until(page: Page, name: str, *, key: str = "Tab", at_most: int = 60) -> list[str]:
    """Presses a key until what is named so has the focus; returns the names of all that had it on the way. Raises
    AssertionError if it is never reached, or if one cannot see where one is."""
    passed: list[str] = []
    for _ in range(at_most):
        page.keyboard.press(key)
        here = focus(page)
        if here is None:
            passed.append("(the browser)")
            continue
        assert here.outlined, f"the focus on {here.name!r} cannot be seen"
        assert here.uncovered, f"{here.name!r} has the focus and is out of sight"
        passed.append(here.name)
        if here.name.startswith(name):
            return passed
    raise AssertionError(f"{name!r} is not reached by {key}: {passed}")


def listen(page: Page) -> None:
    """From now on what the page has screen readers say by themselves is noted."""
    page.evaluate(_LISTEN)


def said(page: Page) -> list[str]:
    """What was said since `listen`."""
    texts: list[str] = page.evaluate("window.said")
    return texts


def _axe(page: Page) -> list[str]:
    page.evaluate(f"() => {{ if (!window.axe) {{ {AXE_SCRIPT} }} }}")
    found: list[str] = page.evaluate(_RUN, TAGS)
    return found
