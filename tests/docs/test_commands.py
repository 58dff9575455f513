"""Every command line, make target, module and setting that the documentation names exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from streamapp.settings import CONFIG_VARIABLE, TOKEN_VARIABLE, Settings
from tests.docs.command_lines import is_ours, known_targets, make_targets, missing_module, named, typed, wrong_in
from tests.docs.markdown import PAGES, ROOT, blocks, code_spans

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
_SECTIONS = {name: field.annotation for name, field in Settings.model_fields.items()}
_DOTTED = re.compile(rf"({'|'.join(_SECTIONS)})\.([a-z_]+)(\s*=.*)?")
_VARIABLE = re.compile(r"STREAMAPP_[A-Z0-9_]+")
_LEFT_OUT = "A" * 32
"""For what a page's example does not show: part of a secret."""
_FILES = ("py", "js", "html", "css", "md", "toml", "db", "json", "jsonl")


_OF_COMPOSE = set(re.findall(r"\$\{(STREAMAPP_[A-Z]+)", (ROOT / "deploy/compose.yaml").read_text()))
"""What deploy/compose.yaml takes from its own .env."""


def unknown_settings(page: Path) -> list[str]:
    """Settings a page names that there are not, as `section.name` or as an environment variable."""
    dotted = [found for span in code_spans(page) if (found := _DOTTED.fullmatch(span)) and found[2] not in _FILES]
    wrong = [found[0] for found in dotted if not is_setting(found[1], found[2])]
    for variable in _VARIABLE.findall(page.read_text()):
        section, _, name = variable.removeprefix("STREAMAPP_").lower().partition("__")
        if variable in {CONFIG_VARIABLE, TOKEN_VARIABLE, *_OF_COMPOSE} or variable.startswith("STREAMAPP_TEST_"):
            continue
        if not is_setting(section, name) and variable not in ("STREAMAPP_", "STREAMAPP_SECTION__NAME"):
            wrong.append(variable)
    return wrong


def is_setting(section: str, name: str) -> bool:
    model = _SECTIONS.get(section)
    return model is not None and name in model.model_fields


@every_page
def test_every_command_line_parses(page: Path) -> None:
    whole = [(line, said) for line in typed(page) if is_ours(line) and (said := wrong_in(line, is_whole=True))]
    parts = [(line, said) for line in named(page) if is_ours(line) and (said := wrong_in(line, is_whole=False))]
    assert whole + parts == []


@every_page
def test_every_make_target_and_module_exists(page: Path) -> None:
    lines = [*typed(page), *named(page)]
    assert {target for line in lines for target in make_targets(line)} <= known_targets()
    assert [missing for line in lines if (missing := missing_module(line))] == []


@every_page
def test_every_setting_exists(page: Path) -> None:
    assert unknown_settings(page) == []
    for block in blocks(page, "toml"):
        Settings.model_validate(tomllib.loads(block.text.replace("…", _LEFT_OUT)))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("streamapp fly", "no command fly"),
        ("streamapp models pull --fast", "no option --fast"),
        ("streamapp plan --budget-mb much", "valid integer"),
        ("streamapp run demo --mode deep", "deep"),
        ("streamapp run", "source"),
        ("streamapp gallery list | fly | export", "no command fly"),
        ("streamapp gallery export ID [--sideways]", "no option --sideways"),
    ],
)
def test_a_wrong_line_is_noticed(line: str, told: str) -> None:
    said = wrong_in(line, is_whole=True)
    assert said is not None
    assert told in said


def test_a_setting_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`server.port = 1`, `server.prot`, `models.py`, STREAMAPP_SERVER__PORT, STREAMAPP_SEVRER__PORT")
    assert unknown_settings(page) == ["server.prot", "STREAMAPP_SEVRER__PORT"]


def test_there_are_lines_to_look_at() -> None:
    assert sum(is_ours(line) for page in PAGES for line in typed(page)) > 25
    assert sum(is_ours(line) for page in PAGES for line in named(page)) > 40
