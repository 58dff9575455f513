"""Command lines as they stand in the documentation: looked up in the program's own commands, and never run."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from streamapp.cli import app
from tests.docs.markdown import ROOT, blocks, code_spans

PROGRAM = "streamapp"
_SHELL = ("sh", "bash", "console", "")
_PLACEHOLDER = re.compile(r"^[A-Z][A-Z_.]*(\.\.\.)?$|^…$|^\.\.\.$")
_METASYNTAX = re.compile(r"[|…\[\]<]|\.\.\.")


def typed(page: Path) -> list[str]:
    """What a page says one may type, without prompts, comments and continuations."""
    lines = [line for block in blocks(page, *_SHELL) for line in re.sub(r"\s*\\\n\s*", " ", block.text).splitlines()]
    bare = [re.split(r"\s{2,}|\s#", re.sub(r"^[$#]\s+", "", line.strip()))[0] for line in lines]
    return [line for one in bare if (line := re.sub(r"^([A-Z_]+=\S+\s+)+", "", one))]


def named(page: Path) -> list[str]:
    """Commands that the text names, whole or in part."""
    return [span for span in code_spans(page) if span]


def is_ours(line: str) -> bool:
    return line.split()[0] == PROGRAM


def wrong_in(line: str, *, is_whole: bool) -> str | None:
    """What is wrong with a line that begins with `streamapp`; None if nothing is. Placeholders (`FILE`), choices
    (`list | pull`) and what may be left out (`[--json]`) are understood. `is_whole`: nothing that is needed is
    missing."""
    if _METASYNTAX.search(line):
        return next((said for one in _spelt_out(line) if (said := _unknown_in(one))), None)
    words = shlex.split(line)[1:]
    if not is_whole or any(map(_PLACEHOLDER.match, words)):
        return _unknown_in(words)
    return _unknown_in(words) or _refused(words)


def make_targets(line: str) -> list[str]:
    """What a line has `make` make."""
    words = line.split()
    return [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)] if words[:1] == ["make"] else []


def missing_module(line: str) -> str | None:
    """The module that a line runs by `python -m` and that is not there."""
    found = re.match(r"(?:\S*/)?python3? -m ([\w.]+)", line)
    if found is None or found[1].split(".")[0] not in (PROGRAM, "benchmarks", "tests"):
        return None
    return None if find_spec(found[1]) else found[1]


def known_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _spelt_out(line: str) -> Iterator[list[str]]:
    """Each of the lines that one with choices stands for, as words."""
    words = line.replace("[", " ").replace("]", " ").split()[1:]
    common = words[: max(0, words.index("|") - 1)] if "|" in words else words
    rest = words[len(common) :]
    if not rest:
        yield common
    for choice in " ".join(rest).split("|"):
        yield [*common, *choice.split()]


def _unknown_in(words: list[str]) -> str | None:
    """The first command or option that does not exist."""
    command: Any = typer.main.get_command(app)  # the classes of commands that are no groups are private to typer
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word.startswith("-") and word != "-":
            options = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
            if word not in {*options, "--help"}:
                return f"{command.name} has no option {word}"
            is_value = word in options and not options[word].is_flag
        elif isinstance(command, TyperGroup) and not _PLACEHOLDER.match(word):
            found = command.commands.get(word)
            if found is None:
                return f"{command.name} has no command {word}"
            command = found
    return None


def _refused(words: list[str]) -> str | None:
    """What the program's own parser says against these arguments. Files need not exist."""
    command: Any = typer.main.get_command(app)
    leaf = command
    for word in words:
        leaf = leaf.commands.get(word, leaf) if isinstance(leaf, TyperGroup) else leaf
    if isinstance(leaf, TyperGroup) and not leaf.invoke_without_command:
        return None  # a group is named as a whole
    leaf.callback = None  # parsed, and not run
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            command.main(words, PROGRAM)
    except SystemExit as ended:
        if ended.code and "does not exist" not in said.getvalue():
            return said.getvalue()
    return None
